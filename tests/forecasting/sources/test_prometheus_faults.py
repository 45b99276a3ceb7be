"""How the Prometheus source asks, and what it makes of answers that a healthy server does not give on demand."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import SourceConfigurationError, SourceError
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources import HistoryQuery, PrometheusSettings
from forecasting.sources.prometheus import PrometheusSource, sample_time_query
from tests.servers.processes import free_port
from tests.servers.replay import Answer, Asked, ReplayServer

HOUR = SlotGrid(1_780_012_800, 300, 12)
WEEK = SlotGrid(1_780_012_800, 300, 7 * 288)
QUERY = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (channels)", "tenant")


def constant(asked: Asked, **more: object) -> Answer:
    """Load 7 of one tenant at every instant that is asked for."""
    if "time" in asked.form:
        result: list[dict[str, object]] = [{"metric": {"tenant": "acme"}, "value": [float(asked.form["time"]), "7"]}]
    else:
        start, end, step = (int(asked.form[name]) for name in ("start", "end", "step"))
        values = [[at_s, "7"] for at_s in range(start, end + 1, step)]
        result = [{"metric": {"tenant": "acme"}, "values": values}]
    return Answer.of({"status": "success", "data": {"resultType": "matrix", "result": result}, **more})


def fault(status: int, kind: str, text: str) -> Answer:
    return Answer.of({"status": "error", "errorType": kind, "error": text}, status)


def source(server: ReplayServer, waits: list[float] | None = None, **settings: object) -> PrometheusSource:
    described = PrometheusSettings.model_validate({"type": "prometheus", "url": server.url, **settings})
    return PrometheusSource(described, "main", sleep=[].append if waits is None else waits.append)


def test_one_query_per_day_for_all_tenants_evaluated_at_slot_ends(replay) -> None:
    server = replay(constant)
    load = source(server).read(QUERY, WEEK)
    assert (load.row("acme") == 7).all()
    assert len(server.asked) == 7
    first, last = server.asked[0].form, server.asked[-1].form
    assert first == {
        "query": QUERY.expression,
        "start": str(WEEK.start_s + 300),
        "end": str(WEEK.start_s + 86400),
        "step": "300",
    }
    assert int(last["end"]) == WEEK.end_s


def test_the_query_is_sent_in_the_body_only(replay) -> None:
    server = replay(constant)
    hostile = HistoryQuery(Measure.CHANNELS, 'x{tenant="a&query=up"} # \n?', "tenant")
    source(server).read(hostile, HOUR)
    assert server.asked[0].form["query"] == hostile.expression
    assert server.asked[0].target == "/api/v1/query_range"


def test_a_partial_answer_is_no_answer(replay) -> None:
    server = replay(lambda asked: constant(asked, warnings=["receive series from sidecar-b: unavailable"]))
    with pytest.raises(SourceError, match="partial, so nothing of it is used: receive series from sidecar-b"):
        source(server).read(QUERY, HOUR)
    with pytest.raises(SourceError, match="partial"):
        source(server).current(QUERY, HOUR.end_s)


def test_a_hint_of_the_query_engine_does_not_make_an_answer_partial(replay) -> None:
    server = replay(lambda asked: constant(asked, warnings=["PromQL info: metric might not be a counter"], infos=["x"]))
    assert (source(server).read(QUERY, HOUR).values == 7).all()


def test_a_warning_about_the_query_is_a_fault_of_the_query(replay) -> None:
    server = replay(lambda asked: constant(asked, warnings=["PromQL warning: quantile value should be below 1"]))
    with pytest.raises(SourceConfigurationError, match="quantile value should be below 1; mend the query"):
        source(server).read(QUERY, HOUR)


def test_a_label_called_warnings_is_only_a_label(replay) -> None:
    def answer(asked: Asked) -> Answer:
        metric = {"tenant": "acme", "warnings": '"warnings":["x"]'}
        result = [{"metric": metric, "values": [[HOUR.end_s, "7"]]}]
        return Answer.of({"status": "success", "data": {"resultType": "matrix", "result": result}})

    assert source(replay(answer)).read(QUERY, HOUR).row("acme")[-1] == 7


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(replay, status: int) -> None:
    answers = iter([fault(status, "unavailable", "busy"), fault(status, "unavailable", "busy")])
    server = replay(lambda asked: next(answers, None) or constant(asked))
    waits: list[float] = []
    assert (source(server, waits).read(QUERY, HOUR).values == 7).all()
    assert waits == [0.5, 1.0]


def test_waits_are_bounded_whatever_the_server_asks_for(replay) -> None:
    server = replay(lambda asked: Answer(503, "", headers={"Retry-After": "86400"}))
    waits: list[float] = []
    with pytest.raises(SourceError, match="gave up after 7 attempts"):
        source(server, waits, retries=6).read(QUERY, HOUR)
    assert waits == [10.0] * 6


def test_an_answer_that_breaks_off_is_tried_again(replay) -> None:
    answers = iter([Answer(200, constant(Asked("", {"time": "1"}, {}, "")).body, cut=True)])
    server = replay(lambda asked: next(answers, None) or constant(asked))
    assert (source(server).read(QUERY, HOUR).values == 7).all()
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (fault(400, "bad_data", "1:5: parse error: unexpected end"), "HTTP 400: 1:5: parse error.*mend the query"),
        (fault(422, "execution", "many-to-many matching"), "HTTP 422: many-to-many matching; mend the query"),
        (Answer(401, "Unauthorized", "text/plain"), "HTTP 401: Unauthorized; check basicAuth or the bearer token"),
        (Answer(404, "<html>", "text/html"), "HTTP 404: no reason given; check url and its path prefix"),
        (Answer(302, "", headers={"Location": "https://u:p@login.example/?x=1"}), r"really is \(login.example\)"),
    ],
)
def test_what_will_not_pass_is_told_at_once(replay, answer: Answer, told: str) -> None:
    server = replay(lambda asked: answer)
    with pytest.raises(SourceConfigurationError, match=told):
        source(server).read(QUERY, HOUR)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body", ["<html>sign in</html>", "[]", '{"status":"success"}', '{"data":{"result":7}}', "null"]
)
def test_an_answer_of_something_else_is_told(replay, body: str) -> None:
    with pytest.raises(SourceError, match=r"check url|address of the query API"):
        source(replay(lambda asked: Answer(200, body))).read(QUERY, HOUR)


def test_a_query_that_loads_too_many_samples_is_asked_for_in_halves(replay) -> None:
    def answer(asked: Asked) -> Answer:
        if int(asked.form["end"]) - int(asked.form["start"]) > 3600:
            return fault(
                422, "execution", "query processing would load too many samples into memory in query execution"
            )
        return constant(asked)

    server = replay(answer)
    assert (source(server).read(QUERY, SlotGrid(HOUR.start_s, 300, 96)).values == 7).all()
    assert len(server.asked) == 15, "eight parts that fit, and the seven wholes that did not"


def test_a_single_slot_that_is_too_much_is_told(replay) -> None:
    server = replay(lambda asked: fault(422, "execution", "query processing would load too many samples into memory"))
    with pytest.raises(SourceConfigurationError, match="too many samples"):
        source(server).read(QUERY, HOUR)


def test_the_bearer_token_is_read_at_each_request(replay, tmp_path: Path) -> None:
    token = tmp_path / "token"
    server = replay(constant)
    main = source(server, bearerTokenFile=str(token), headers={"X-Scope-OrgID": "voice"})
    for secret in ("first", "second"):
        token.write_text(secret + "\n")
        main.read(QUERY, HOUR)
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer first", "Bearer second"]
    assert {asked.headers["x-scope-orgid"] for asked in server.asked} == {"voice"}


def test_no_secret_reaches_an_error_a_log_or_a_repr(
    replay, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    token = tmp_path / "token"
    token.write_text("tok3n\nwith a second line")
    server = replay(lambda asked: fault(503, "unavailable", "busy"))
    main = source(server, [], bearerTokenFile=str(token))
    with pytest.raises(SourceConfigurationError, match="not one line of printable ASCII") as unfit:
        main.read(QUERY, HOUR)
    token.write_text("tok3n")
    with pytest.raises(SourceError) as busy:
        main.read(QUERY, HOUR)
    monkeypatch.setenv("CALLTIDE_TEST_TOKEN", "tok3n")
    settings = PrometheusSettings.model_validate(
        {"type": "prometheus", "url": server.url, "bearerTokenEnv": "CALLTIDE_TEST_TOKEN", "headers": {"X-Key": "k3y"}}
    )
    shown = [str(unfit.value), str(busy.value), repr(settings), str(settings), caplog.text, repr(main)]
    assert not any("tok3n" in text or "k3y" in text for text in shown)
    assert "attempt 1 failed" in caplog.text, "what is retried is told"


def test_a_missing_secret_is_told_by_its_place(replay) -> None:
    main = source(replay(constant), bearerTokenFile="/nowhere/token")
    with pytest.raises(SourceConfigurationError, match="bearer token cannot be read from file /nowhere/token: No such"):
        main.read(QUERY, HOUR)


def test_nobody_listening_is_told(replay) -> None:
    settings = PrometheusSettings(type="prometheus", url=f"http://127.0.0.1:{free_port()}", retries=0)
    with pytest.raises(SourceError, match=r"source 'main' .*[Rr]efused.*gave up after 1 attempts"):
        PrometheusSource(settings, "main").read(QUERY, HOUR)


def test_an_empty_answer_is_an_empty_matrix(replay) -> None:
    empty = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    load = source(replay(lambda asked: Answer.of(empty))).read(QUERY, HOUR)
    assert load.series == ()
    assert load.values.shape == (0, 12)
    assert load.values.dtype == np.float32


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("channels", "timestamp(channels)"),
        (' job:channels{tenant=~"a|b}", x!=\'"\'} ', 'timestamp(job:channels{tenant=~"a|b}", x!=\'"\'})'),
        ("sum by (tenant) (channels)", "min by (tenant) (timestamp(channels))"),
        ("max by(tenant, zone)(channels{})", "min by(tenant, zone) (timestamp(channels{}))"),
        ("sum(channels)", None),
        ("sum by (tenant) (rate(calls_total[5m]))", None),
        ("channels or other", None),
        ("sum by (tenant) (a) + sum by (tenant) (b)", None),
        ("channels offset 5m", None),
        ("count by (tenant) (channels)", None),
    ],
)
def test_sample_times_are_asked_for_where_they_can_be_known(expression: str, asked: str | None) -> None:
    assert sample_time_query(expression) == asked


@pytest.mark.parametrize(("own", "everybody", "observed"), [("1", "1", True), ("0.5", "1", False), ("1", "0.5", False)])
def test_of_a_share_for_a_tenant_and_one_for_all_the_lower_counts(
    replay, own: str, everybody: str, observed: bool
) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.form["query"] != "up":
            return constant(asked)
        shares = [({"tenant": "acme"}, own), ({}, everybody)]
        result = [{"metric": labels, "values": [[HOUR.end_s, share]]} for labels, share in shares]
        return Answer.of({"status": "success", "data": {"resultType": "matrix", "result": result}})

    guarded = HistoryQuery(Measure.CHANNELS, "channels", "tenant", "up", 0.9)
    assert source(replay(answer)).read(guarded, HOUR).observed[0, -1] == observed


def instant(values: dict[str, str]) -> Answer:
    result = [{"metric": {"tenant": tenant}, "value": [0, value]} for tenant, value in values.items()]
    return Answer.of({"status": "success", "data": {"resultType": "vector", "result": result}})


def test_who_is_seen_but_not_measured_is_told_apart_from_who_is_not_there(replay) -> None:
    now_s = HOUR.end_s
    answers = {
        "channels": {"whole": "1", "half": "2", "stale": "3", "odd": "NaN"},
        "up": {"whole": "1", "half": "0.5", "stale": "1", "odd": "1", "silent": "1"},
        "timestamp(channels)": {"whole": f"{now_s - 20}", "half": f"{now_s}", "stale": f"{now_s - 900}"},
    }
    server = replay(lambda asked: instant(answers[asked.form["query"]]))
    now = source(server).current(HistoryQuery(Measure.CHANNELS, "channels", "tenant", "up"), now_s)
    assert now.by_tenant == {"whole": 1}
    assert now.incomplete == {"half", "stale", "odd", "silent"}


def test_tenants_without_sample_times_are_told_apart_as_well(replay) -> None:
    answers = {"a + b": {"whole": "1", "half": "2"}, "up": {"whole": "1", "half": "0.5"}}
    server = replay(lambda asked: instant(answers[asked.form["query"]]))
    now = source(server).current(HistoryQuery(Measure.CHANNELS, "a + b", "tenant", "up"), HOUR.end_s)
    assert (now.by_tenant, now.incomplete) == ({"whole": 1}, {"half"})


def test_an_old_sample_of_one_tenant_does_not_make_the_others_old(replay) -> None:
    now_s = HOUR.end_s
    answers = {
        "channels": {"fresh": "1", "older": "2"},
        "timestamp(channels)": {"fresh": f"{now_s - 5}", "older": f"{now_s - 100}"},
    }
    server = replay(lambda asked: instant(answers[asked.form["query"]]))
    now = source(server).current(HistoryQuery(Measure.CHANNELS, "channels", "tenant"), now_s)
    ages = [now_s - now.oldest_s(tenants) for tenants in (["fresh"], ["older"], ["fresh", "older"], [])]
    assert ages == [5, 100, 100, 100]
