"""Prometheus as it is: Debian's server on a free port, with weeks of history written as blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from forecasting.errors import SourceConfigurationError, SourceError
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources import HistoryQuery, PrometheusSettings
from forecasting.sources.prometheus import PrometheusSource
from forecasting.sources.prometheus_session import PrometheusSession
from tests.servers.exporter import Exporters
from tests.servers.processes import wait_for
from tests.servers.prometheus import PrometheusServer, write_blocks

STEP_S = 300
END_S = 1_780_000_200
WEEKS_8 = SlotGrid(END_S - 8 * 7 * 86400, STEP_S, 8 * 7 * 288)
LAST_DAY = SlotGrid(END_S - 86400, STEP_S, 288)
TENANTS = [f"tenant-{number:02d}" for number in range(50)]
ODD_TENANTS = ['quo"te', "new\nline", "b\\ack/slash", "Zürich 東京", "{a=~'.*'}", " "]
CHANNELS = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (channels)", "tenant")


def channels(tenant: int, slots: int) -> list[float]:
    """A load of its own for each tenant and slot."""
    return ((np.arange(slots) * 7 + tenant * 13) % 101 + tenant / 64).tolist()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    server = PrometheusServer(tmp_path_factory.mktemp("prometheus"))
    ends = (WEEKS_8.starts_s + STEP_S).tolist()
    day_ends = (LAST_DAY.starts_s + STEP_S).tolist()
    rows = [channels(number, WEEKS_8.slots) for number in range(len(TENANTS))]
    write_blocks(server.data, "channels", [{"tenant": name} for name in TENANTS], ends, rows)
    odd = [{"tenant": name} for name in ODD_TENANTS]
    write_blocks(server.data, "odd", odd, day_ends, [[float(row)] * 288 for row in range(len(odd))])
    write_blocks(server.data, "pod_channels", *half_of_the_pods_go(10.0, None))
    write_blocks(server.data, "up", *half_of_the_pods_go(1.0, 0.0))
    write_blocks(server.data, "calls_total", [{"tenant": "acme"}], *counter_with_a_reset())
    write_blocks(
        server.data, "doubtful", [{"tenant": "acme"}], day_ends, [[-1.0, float("nan"), float("inf"), 5.0] * 72]
    )
    server.start()
    yield server
    server.stop()


def half_of_the_pods_go(
    present: float, gone: float | None
) -> tuple[list[dict[str, str]], list[int], list[list[float | None]]]:
    """Four pods of each tenant; for the second half of the day, two pods of acme are away."""
    series = [{"tenant": tenant, "pod": f"{tenant}-{pod}"} for tenant in ("acme", "globex") for pod in range(4)]
    rows: list[list[float | None]] = [[present] * 288 for _ in series]
    for row in rows[:2]:
        row[144:] = [gone] * 144
    return series, (LAST_DAY.starts_s + STEP_S).tolist(), rows


def counter_with_a_reset() -> tuple[list[int], list[list[float]]]:
    """Two calls a second, every 15 s a sample, and a restart from zero in the middle."""
    times = list(range(LAST_DAY.start_s, LAST_DAY.start_s + 7200 + 1, 15))
    return times, [[2.0 * (at_s - times[0] if at_s < times[0] + 3600 else at_s - times[0] - 3600) for at_s in times]]


@pytest.fixture
def source(server: PrometheusServer) -> Iterator[PrometheusSource]:
    source = source_of(server)
    yield source
    source.close()


def source_of(server: PrometheusServer, waits: list[float] | None = None, **settings: object) -> PrometheusSource:
    described = PrometheusSettings.model_validate({"type": "prometheus", "url": server.url, **settings})
    return PrometheusSource(described, "main", sleep=[].append if waits is None else waits.append)


def test_eight_weeks_of_fifty_tenants_come_back_exactly(source: PrometheusSource) -> None:
    load = source.read(CHANNELS, WEEKS_8)
    assert load.series == tuple(TENANTS)
    expected = np.array([channels(number, WEEKS_8.slots) for number in range(50)], dtype=np.float32)
    np.testing.assert_array_equal(load.values, expected)


def test_the_last_slots_alone_are_what_they_are_in_the_whole(source: PrometheusSource) -> None:
    newest = SlotGrid(END_S - 2 * STEP_S, STEP_S, 2)
    load = source.read(CHANNELS, newest)
    np.testing.assert_array_equal(load.row("tenant-07"), np.float32(channels(7, WEEKS_8.slots)[-2:]))


def test_half_of_the_pods_away_is_a_gap_not_a_fall(source: PrometheusSource) -> None:
    bare = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (pod_channels)", "tenant")
    fallen = source.read(bare, LAST_DAY).row("acme")
    assert fallen[0] == 40
    assert fallen[-1] == 20, "without completeness it looks like a fall: the test would prove nothing otherwise"

    guarded = HistoryQuery(Measure.CHANNELS, bare.expression, "tenant", "avg by (tenant) (up)", 0.9)
    load = source.read(guarded, LAST_DAY)
    assert (load.row("acme")[:144] == 40).all()
    assert np.isnan(load.row("acme")[144:]).all()
    assert (load.row("globex") == 40).all(), "its pods are all up"
    assert source.current(guarded, END_S).by_tenant == {"globex": 40}


def test_completeness_without_the_tenant_speaks_for_all(source: PrometheusSource) -> None:
    everybody = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (pod_channels)", "tenant", "avg(up)", 0.9)
    load = source.read(everybody, LAST_DAY)
    assert np.isnan(load.values[:, 144:]).all()
    assert (load.values[:, :144] == 40).all()


def test_slots_that_nobody_vouches_for_are_gaps(source: PrometheusSource) -> None:
    nobody = HistoryQuery(
        Measure.CHANNELS, "sum by (tenant) (pod_channels)", "tenant", "avg by (tenant) (no_such)", 0.0
    )
    assert np.isnan(source.read(nobody, LAST_DAY).values).all()


def test_a_counter_that_restarts_shows_no_dent_in_its_rate(source: PrometheusSource) -> None:
    rate = HistoryQuery(Measure.CALL_RATE, "sum by (tenant) (rate(calls_total[5m]))", "tenant")
    values = source.read(rate, SlotGrid(LAST_DAY.start_s + 300, 300, 23)).row("acme")
    # The reset itself hides what was counted between the last sample before it and the restart: one sample of twenty.
    assert (values >= 2.0 * 0.94).all()
    assert values.max() == pytest.approx(2.0, rel=1e-5)


def test_a_value_belongs_to_the_slot_that_ends_when_it_was_evaluated(source: PrometheusSource) -> None:
    rising = HistoryQuery(Measure.CHANNELS, "max by (tenant) (max_over_time(calls_total[5m]))", "tenant")
    values = source.read(rising, SlotGrid(LAST_DAY.start_s, 300, 6)).row("acme")
    # Two calls a second since the first slot began: each slot tells what had been reached at its own end.
    assert values.tolist() == [600, 1200, 1800, 2400, 3000, 3600]


def test_labels_may_hold_any_character(source: PrometheusSource) -> None:
    load = source.read(HistoryQuery(Measure.CHANNELS, "odd", "tenant"), LAST_DAY)
    assert {name: float(load.row(name)[0]) for name in load.series} == {
        name: float(row) for row, name in enumerate(ODD_TENANTS)
    }
    assert set(source.current(HistoryQuery(Measure.CHANNELS, "odd", "tenant"), END_S).by_tenant) == set(ODD_TENANTS)


def test_what_is_no_load_is_a_gap(source: PrometheusSource) -> None:
    values = source.read(HistoryQuery(Measure.CHANNELS, "sum by (tenant) (doubtful)", "tenant"), LAST_DAY).row("acme")
    assert np.isnan(values.reshape(72, 4)[:, :3]).all()
    assert (values.reshape(72, 4)[:, 3] == 5).all()


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("pod_channels", "differ in pod; write 'sum by (tenant)"),
        ("sum(channels)", "no label 'tenant', it has none; write 'sum by (tenant)"),
        ("42", "no label 'tenant'"),
        ("sum by (tenant) (channels", "unclosed left parenthesis"),
        ("channels * on() group_left() channels", "duplicate series for the match group"),
        ("channels[5m]", "invalid expression type"),
    ],
)
def test_a_wrong_query_is_told_with_its_remedy(source: PrometheusSource, expression: str, told: str) -> None:
    with pytest.raises(SourceConfigurationError) as error:
        source.read(HistoryQuery(Measure.CHANNELS, expression, "tenant"), LAST_DAY)
    assert told in str(error.value)
    assert "source 'main' (http://127.0.0.1:" in str(error.value)


@pytest.mark.parametrize(("expression", "told"), [("42", "no labelled series"), ("channels[5m]", "max_over_time")])
def test_a_query_of_the_wrong_kind_is_told_for_the_load_right_now(
    source: PrometheusSource, expression: str, told: str
) -> None:
    with pytest.raises(SourceConfigurationError, match=told):
        source.current(HistoryQuery(Measure.CHANNELS, expression, "tenant"), END_S)


@pytest.mark.parametrize("expression", ["channels", "sum by (tenant) (channels)", "max by (tenant) (channels{})"])
def test_a_stale_sample_is_not_the_load_right_now(server: PrometheusServer, expression: str) -> None:
    query = HistoryQuery(Measure.CHANNELS, expression, "tenant")
    source = source_of(server, stalenessSeconds=120)
    fresh = source.current(query, END_S + 100)
    assert len(fresh.by_tenant) == 50
    assert fresh.measured_at_s == END_S
    # The server itself still answers: it looks back for five minutes.
    assert len(source_of(server).current(query, END_S + 130).by_tenant) == 50
    assert source.current(query, END_S + 130).by_tenant == {}


def test_finer_steps_than_the_server_answers_at_once_come_in_parts(source: PrometheusSource) -> None:
    day_of_5_s = SlotGrid(LAST_DAY.start_s, 5, 17_280)
    load = source.read(HistoryQuery(Measure.CHANNELS, "odd", "tenant"), day_of_5_s)
    # The first sample stands at the end of the first five minutes.
    assert not np.isnan(load.row("new\nline")[59:]).any()
    assert np.isnan(load.row("new\nline")[:59]).all()


def test_a_server_that_dies_while_it_is_read_is_an_error_and_comes_back(
    server: PrometheusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = PrometheusSession.request
    requests: list[str] = []

    def kill_at_the_fifth(self: PrometheusSession, method: str, url: str, **rest: object) -> object:
        requests.append(url)
        if len(requests) == 5:
            server.kill()
        return ask(self, method, url, **rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(PrometheusSession, "request", kill_at_the_fifth)
    waits: list[float] = []
    source = source_of(server, waits, retries=3)
    try:
        with pytest.raises(SourceError, match=r"refused.*gave up after 4 attempts"):
            source.read(CHANNELS, WEEKS_8)
    finally:
        server.start()
    assert waits == [0.5, 1.0, 2.0]
    monkeypatch.undo()
    assert len(source.current(CHANNELS, END_S).by_tenant) == 50


def test_a_server_that_hangs_is_an_error_after_the_time_out(server: PrometheusServer) -> None:
    source = source_of(server, retries=1, timeoutSeconds=0.3)
    server.pause()
    try:
        with pytest.raises(SourceError, match=r"no answer within 0.3 s \(gave up after 2 attempts\)"):
            source.current(CHANNELS, END_S)
    finally:
        server.resume()


def test_scrape_targets_that_go_are_a_gap_and_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    pods = {f"{tenant}-{pod}": tenant for tenant in ("acme", "globex") for pod in range(2)}
    exporters = Exporters(dict.fromkeys(pods, "asterisk_channels_count 21\n"))
    server = PrometheusServer(tmp_path_factory.mktemp("scraping"), exporters.scrape_config(pods))
    query = HistoryQuery(
        Measure.CHANNELS, "sum by (tenant) (asterisk_channels_count)", "tenant", "avg by (tenant) (up)", 0.9
    )
    both = {"acme": 42.0, "globex": 42.0}
    try:
        server.start()
        source = source_of(server)
        wait_for(lambda: source.current(query, time.time()).by_tenant == both, "all targets scraped")
        began_s = int(time.time())
        exporters.off = {"acme-0"}
        wait_for(lambda: source.current(query, time.time()).by_tenant == {"globex": 42.0}, "acme incomplete")
        exporters.off = set()
        wait_for(lambda: source.current(query, time.time()).by_tenant == both, "acme complete again")
        seen = source.read(query, SlotGrid.covering(began_s, int(time.time()), 1))
        assert np.isnan(seen.row("acme")).any()
        # A busy machine may miss a scrape: that too is a gap. What must never be seen is part of a sum.
        assert set(seen.values[seen.observed].tolist()) == {42.0}
    finally:
        server.stop()
        exporters.close()
