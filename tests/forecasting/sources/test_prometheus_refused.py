"""A fleet that was full and refused calls is learnt at the load that was asked for, from a real Prometheus.

Acme's fleet takes 100 channels. For three weeks its mornings ask for up to 140, and two proxies count who was refused.
Globex never fills its own, so that its counters of refused calls never came to be.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecasting.archive import Archive, DatasetKey
from forecasting.calendar import CivilCalendar
from forecasting.errors import SourceConfigurationError
from forecasting.forecast import QuantileForecast, Trust
from forecasting.grid import SlotGrid
from forecasting.ingest import Ingest
from forecasting.load import LoadMatrix, Measure
from forecasting.models import default_forecaster
from forecasting.sources import HistoryQuery, PrometheusSettings, RefusedCalls
from forecasting.sources.prometheus import PrometheusSource
from tests.servers.prometheus import PrometheusServer, write_blocks

STEP_S = 300
DAY_S = 86400
END_S = 1_780_012_800
WEEKS_3 = SlotGrid(END_S - 21 * DAY_S, STEP_S, 21 * 288)
LAST_DAY = SlotGrid(END_S - DAY_S, STEP_S, 288)
PROXIES = ("edge-0", "edge-1")
CAPACITY = 100.0
HOLDING_S = 200.0
RETRY_SHARE = 0.25
AWAY = slice(123, 129)
"""Slots of the last day in which one of the two proxies was not scraped, right after the peak."""

CARRIED = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (channels)", "tenant")
RATE = "sum by (tenant) (rate(calls_refused_total[5m]))"
WATCHED = f"({RATE} or 0 * sum by (tenant) (channels)) and on () (min(up) == 1)"
OFFERED = replace(CARRIED, refused=RefusedCalls(WATCHED, HOLDING_S, retry_share=RETRY_SHARE))


def asked_for() -> np.ndarray:
    """Channels that acme's callers ask for in each slot: 20 at night, at most 140 in the morning."""
    hour = WEEKS_3.starts_s % DAY_S / 3600
    return 20.0 + 120.0 * np.exp(-(((hour - 10.0) / 2.0) ** 2))


def minutes_of_counting() -> tuple[list[int], list[list[float | None]]]:
    """Each proxy's counter of acme's refused calls, a sample a minute; a quarter of them are somebody's next try."""
    per_s = np.maximum(asked_for() - CAPACITY, 0.0) / HOLDING_S / (1.0 - RETRY_SHARE)
    times_s = np.arange(WEEKS_3.start_s, END_S + 1, 60)
    count = np.concatenate([[0.0], np.cumsum(np.repeat(per_s / len(PROXIES), STEP_S // 60) * 60.0)])
    rows: list[list[float | None]] = [np.round(count, 3).tolist() for _ in PROXIES]
    first, last = (WEEKS_3.slots - 288 + edge for edge in (AWAY.start, AWAY.stop))
    for minute in range(first * 5 + 1, last * 5 + 1):
        rows[0][minute] = None
    return times_s.tolist(), rows


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    server = PrometheusServer(tmp_path_factory.mktemp("refused"))
    ends = (WEEKS_3.starts_s + STEP_S).tolist()
    carried = np.minimum(asked_for(), CAPACITY)
    quiet = 0.5 * carried
    write_blocks(
        server.data, "channels", [{"tenant": "acme"}, {"tenant": "globex"}], ends, [carried.tolist(), quiet.tolist()]
    )
    write_blocks(server.data, "calls_total", [{"tenant": "acme"}], *calls_of(carried))
    counters = [{"tenant": "acme", "instance": proxy} for proxy in PROXIES]
    write_blocks(server.data, "calls_refused_total", counters, *minutes_of_counting())
    scraped = np.ones((len(PROXIES), WEEKS_3.slots))
    scraped[0, -288 + AWAY.start : -288 + AWAY.stop] = 0.0
    write_blocks(server.data, "up", [{"instance": proxy} for proxy in PROXIES], ends, scraped.tolist())
    server.start()
    yield server
    server.stop()


def calls_of(carried: np.ndarray) -> tuple[list[int], list[list[float]]]:
    """The counter of set-ups that carry this load when each call holds a channel for the mean holding time."""
    times_s = [WEEKS_3.start_s, *(WEEKS_3.starts_s + STEP_S).tolist()]
    return times_s, [np.round(np.concatenate([[0.0], np.cumsum(carried / HOLDING_S * STEP_S)]), 3).tolist()]


@pytest.fixture
def source(server: PrometheusServer) -> Iterator[PrometheusSource]:
    source = PrometheusSource(PrometheusSettings(type="prometheus", url=server.url, retries=0), "main")
    yield source
    source.close()


def learnt(source: PrometheusSource, query: HistoryQuery, folder: Path) -> tuple[LoadMatrix, QuantileForecast]:
    """What the archive holds after a first start, and the day that is forecast from it."""
    archive, key = Archive(str(folder)), DatasetKey.of("main", query, STEP_S)
    ingest = Ingest(source, archive, key, query, STEP_S, 21 * DAY_S)
    ingest.catch_up(END_S)
    history = ingest.load(END_S)
    calendars = [CivilCalendar("UTC")] * len(history.series)
    return history, default_forecaster().forecast(history, calendars, SlotGrid(END_S, STEP_S, 288))


def test_a_full_fleet_is_learnt_at_its_offered_load(source: PrometheusSource, tmp_path: Path) -> None:
    # Both into one archive: the new configuration must not find the ceiling that the old one has learnt.
    carried, from_carried = learnt(source, CARRIED, tmp_path)
    offered, from_offered = learnt(source, OFFERED, tmp_path)
    assert carried.row("acme").max() == CAPACITY
    known = offered.observed[offered.series.index("acme")]
    assert known.sum() == offered.grid.slots - (AWAY.stop - AWAY.start)
    np.testing.assert_allclose(offered.row("acme")[known], asked_for()[known], rtol=0.01)
    np.testing.assert_array_equal(offered.row("globex")[known], carried.row("globex")[known])

    of_next_day = asked_for()[:288]
    busiest = int(of_next_day.argmax())
    ceiling, demand = (float(one.path("acme", 0.5)[busiest]) for one in (from_carried, from_offered))
    assert ceiling == pytest.approx(CAPACITY, rel=0.03), "without refused calls the ceiling is what is learnt"
    assert demand == pytest.approx(of_next_day[busiest], rel=0.03)
    assert set(from_offered.trust) == {Trust.TRUSTED}


def test_the_holding_time_may_come_from_the_load_and_its_set_ups(source: PrometheusSource) -> None:
    littles_law = "sum by (tenant) (avg_over_time(channels[1h])) / sum by (tenant) (rate(calls_total[1h]))"
    counted = RefusedCalls(WATCHED, holding_expression=littles_law, retry_share=RETRY_SHARE)
    offered = source.read(replace(CARRIED, refused=counted), LAST_DAY).row("acme")
    known = ~np.isnan(offered)
    # The peak asks for 140; a mean over the hour before lags a little where the load rises.
    np.testing.assert_allclose(offered[known], asked_for()[-288:][known], rtol=0.03)
    assert np.nanmax(offered) == pytest.approx(140.0, rel=0.01)


def test_a_proxy_that_is_not_scraped_leaves_gaps_and_neither_zeros_nor_halves(source: PrometheusSource) -> None:
    halves = source.read(replace(CARRIED, refused=RefusedCalls(RATE, HOLDING_S, None, RETRY_SHARE)), LAST_DAY)
    first, asked = AWAY.start + 1, asked_for()[-288:]
    assert CAPACITY < halves.row("acme")[first] < 0.9 * asked[first], "the test would prove nothing otherwise"

    observed = source.read(OFFERED, LAST_DAY).observed
    expected = np.ones(288, dtype=np.bool_)
    expected[AWAY] = False
    np.testing.assert_array_equal(observed, [expected, expected])
    assert source.read(CARRIED, LAST_DAY).observed.all(), "the load itself was seen throughout"
    assert source.current(OFFERED, END_S - DAY_S + AWAY.start * STEP_S + 600).by_tenant.keys() == {"acme", "globex"}


def test_a_counter_that_never_was_is_unknown_until_the_query_says_who_was_watched(
    source: PrometheusSource, caplog: pytest.LogCaptureFixture
) -> None:
    bare = replace(CARRIED, refused=RefusedCalls(RATE, HOLDING_S))
    with caplog.at_level(logging.WARNING, "forecasting"):
        load = source.read(bare, LAST_DAY)
    assert np.isnan(load.row("globex")).all()
    assert np.nanmax(load.row("acme")) > CAPACITY
    (told,) = caplog.messages
    assert "history.refused.query: nothing for 1 of 2 tenants with load (globex)" in told


def test_a_query_may_say_that_the_carried_load_stands_for_the_time_before_proxies_were_scraped(
    source: PrometheusSource,
) -> None:
    carried = source.read(CARRIED, LAST_DAY).row("acme")
    for scraped, expected in (("up", np.full(6, np.nan)), ("never_scraped", carried[AWAY])):
        query = f"{WATCHED} or (0 * sum by (tenant) (channels) unless on () {scraped})"
        offered = source.read(replace(CARRIED, refused=RefusedCalls(query, HOLDING_S)), LAST_DAY).row("acme")
        np.testing.assert_array_equal(offered[AWAY], expected)
        assert np.nanmax(offered) > CAPACITY


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sum by (tenant) (rate(calls_refused_total[5m])", "unclosed left parenthesis"),
        ("rate(calls_refused_total[5m]) or rate(calls_refused_total{proxy=''}[5m]) or up", "no label 'tenant'"),
        ("sum(rate(calls_refused_total[5m]))", "no label 'tenant', it has none; write 'sum by (tenant)"),
    ],
)
def test_a_wrong_query_is_told_with_its_field(source: PrometheusSource, query: str, told: str) -> None:
    with pytest.raises(SourceConfigurationError) as error:
        source.read(replace(CARRIED, refused=RefusedCalls(query, HOLDING_S)), LAST_DAY)
    assert str(error.value).startswith("history.refused.query: source 'main' (http://127.0.0.1:")
    assert told in str(error.value)
