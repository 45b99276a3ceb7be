"""The Loki source against recorded answers of a real Loki, and against faults that one does not show on demand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import SourceConfigurationError, SourceError
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources import HistoryQuery, LokiSettings, RefusedCalls
from forecasting.sources.loki import LokiSource
from tests.servers.loki_calls import CALL_RATE, GRID
from tests.servers.loki_expectations import EXPECTATIONS, Expectation
from tests.servers.replay import Answer, Asked, ReplayServer, recorded

CAPTURES = Path(__file__).parents[2] / "captures" / "loki"
DAY = SlotGrid(1_780_012_800, 3600, 24)


@pytest.mark.parametrize("expectation", EXPECTATIONS, ids=lambda expectation: expectation.__name__)
def test_what_a_real_loki_answered(replay, expectation: Expectation) -> None:
    expectation(replay(recorded(CAPTURES / "exchanges.json")).url)


def matrix(*series: tuple[dict[str, str], dict[int, str]], warnings: list[str] | None = None) -> Answer:
    result = [{"metric": labels, "values": [list(pair) for pair in values.items()]} for labels, values in series]
    payload: dict[str, object] = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return Answer.of(payload if warnings is None else {**payload, "warnings": warnings})


def source(server: ReplayServer, waits: list[float] | None = None, **settings: object) -> LokiSource:
    described = LokiSettings.model_validate({"type": "loki", "url": server.url, **settings})
    return LokiSource(described, "logs", sleep=[].append if waits is None else waits.append)


def test_too_many_outstanding_requests_are_repeated_and_then_told(replay) -> None:
    server = replay(lambda asked: Answer(429, "too many outstanding requests", "text/plain"))
    waits: list[float] = []
    with pytest.raises(SourceError, match=r"HTTP 429: too many outstanding requests \(gave up after 3 attempts\)"):
        source(server, waits, retries=2).read(CALL_RATE, GRID)
    assert waits == [0.5, 1.0]
    assert len(server.asked) == 3


def test_an_answer_with_warnings_is_refused_whole(replay) -> None:
    server = replay(lambda asked: matrix(({"tenantid": "acme"}, {1_780_000_500: "1"}), warnings=["store b is away"]))
    with pytest.raises(SourceError, match="partial, so nothing of it is used: store b is away"):
        source(server).read(CALL_RATE, GRID)


def test_a_number_that_is_none_stays_a_gap_although_silence_is_zero(replay) -> None:
    def answer(asked: Asked) -> Answer:
        if "alive" in asked.form["query"]:
            return matrix(({"tenantid": "acme"}, dict.fromkeys((DAY.starts_s + 3600).tolist(), "1")))
        return matrix(({"tenantid": "acme"}, {DAY.start_s + 3600: "NaN", DAY.start_s + 7200: "3"}))

    query = HistoryQuery(Measure.CALL_RATE, "rate", "tenantid", "alive", 0.9)
    values = source(replay(answer)).read(query, DAY).row("acme")
    assert np.isnan(values[0])
    assert values[1] == 3
    assert (values[2:] == 0).all()


def test_silence_about_refused_calls_is_a_gap_though_the_lines_of_calls_are_vouched_for(replay) -> None:
    every_hour = (DAY.starts_s + 3600).tolist()
    answers = {
        "alive": matrix(({"tenantid": "acme"}, dict.fromkeys(every_hour, "1"))),
        "rate": matrix(({"tenantid": "acme"}, {every_hour[0]: "2"})),
        "refused": matrix(({"tenantid": "acme"}, {every_hour[0]: "0.5", every_hour[1]: "0"})),
    }
    query = HistoryQuery(Measure.CALL_RATE, "rate", "tenantid", "alive", 0.9, refused=RefusedCalls("refused"))
    values = source(replay(lambda asked: answers[asked.form["query"]])).read(query, DAY).row("acme")
    np.testing.assert_array_equal(values, [2.5, 0.0] + [np.nan] * 22)


def test_a_quiet_day_is_zero_for_a_tenant_that_is_known_from_another_day(replay) -> None:
    two_days = SlotGrid(DAY.start_s, 3600, 48)
    ends = (two_days.starts_s + 3600).tolist()

    def answer(asked: Asked) -> Answer:
        asked_ends = [at_s for at_s in ends if int(asked.form["start"]) <= at_s <= int(asked.form["end"])]
        if asked.form["query"] == "alive":
            return matrix(({}, dict.fromkeys(asked_ends, "1")))
        return matrix(({"tenantid": "acme"}, {ends[0]: "2"})) if ends[0] in asked_ends else matrix()

    query = HistoryQuery(Measure.CALL_RATE, "rate", "tenantid", "alive", 0.9)
    assert source(replay(answer)).read(query, two_days).row("acme").tolist() == [2] + [0] * 47


def test_the_password_is_read_at_each_reading_and_told_to_nobody(replay, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    server = replay(lambda asked: Answer(401, "no", "text/plain"))
    user = {"username": "calltide", "passwordFile": str(secret)}
    logs = source(server, basicAuth=user)
    seen = []
    for password in ("first-pa55", "second-pa55"):
        secret.write_text(password + "\n")
        with pytest.raises(SourceConfigurationError) as error:
            logs.current(CALL_RATE, 0)
        assert "pa55" not in str(error.value)
        seen.append(server.asked[-1].headers["authorization"])
    assert seen[0] != seen[1]


def test_a_page_instead_of_an_answer_is_told(replay) -> None:
    server = replay(lambda asked: Answer(200, "<html>sign in</html>", "text/html"))
    with pytest.raises(SourceError, match="the answer is not Loki's; check url"):
        source(server).read(CALL_RATE, GRID)


def test_who_is_seen_but_not_measured_is_told_apart_from_who_is_not_there(replay) -> None:
    answers = {"rate": {"whole": "1", "half": "2"}, "alive": {"whole": "1", "half": "0.5", "quiet": "1", "gone": "0"}}

    def answer(asked: Asked) -> Answer:
        values = answers[asked.form["query"]]
        result = [{"metric": {"tenantid": tenant}, "value": [0, value]} for tenant, value in values.items()]
        return Answer.of({"status": "success", "data": {"resultType": "vector", "result": result}})

    query = HistoryQuery(Measure.CALL_RATE, "rate", "tenantid", "alive", 0.9)
    now = source(replay(answer)).current(query, DAY.end_s)
    assert now.by_tenant == {"whole": 1, "quiet": 0}
    assert now.incomplete == {"half", "gone"}
