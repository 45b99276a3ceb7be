"""What must hold of the Loki source, whoever answers: the recording in `make test`, a real Loki in `tests/stores`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from forecasting.errors import SourceConfigurationError
from forecasting.sources import LokiSettings
from forecasting.sources.loki import LokiSource
from tests.servers.loki import FEW_TENANT, SHORT_TENANT, TENANT
from tests.servers.loki_calls import (
    ACME,
    BROKEN,
    BY_EVENT,
    CALL_RATE,
    CALL_RATE_UNGUARDED,
    CHANNELS,
    DEAD_SLOTS,
    GRID,
    LOG_LINES,
    LONG_GRID,
    NO_TENANT,
    QUIET,
)

Expectation = Callable[[str], None]
"""Asks the Loki at a URL and asserts."""

DEAD = list(DEAD_SLOTS)
ALIVE = [slot for slot in range(GRID.slots) if slot not in DEAD_SLOTS]
TWO_CALLS = np.float32(2 / 300)


def source(url: str, tenant: str | None = TENANT) -> LokiSource:
    return LokiSource(LokiSettings(type="loki", url=url, tenant=tenant, retries=0), "logs")


def silence_is_zero_where_the_shipper_lived_and_a_gap_where_it_was_dead(url: str) -> None:
    load = source(url).read(CALL_RATE, GRID)
    assert set(load.series) == {ACME, QUIET}
    np.testing.assert_allclose(load.row(ACME)[ALIVE], TWO_CALLS, rtol=1e-6)
    assert np.isnan(load.row(ACME)[DEAD]).all(), "its log shipper was dead: that is no silence"
    np.testing.assert_allclose(load.row(QUIET), [1 / 300] + [0] * (GRID.slots - 1), rtol=1e-6)


def without_completeness_silence_is_a_gap(url: str) -> None:
    load = source(url).read(CALL_RATE_UNGUARDED, GRID)
    assert np.isnan(load.row(QUIET)[1:]).all()
    assert np.isnan(load.row(ACME)[DEAD]).all()
    np.testing.assert_allclose(load.row(ACME)[ALIVE], TWO_CALLS, rtol=1e-6)


def for_channels_silence_is_a_gap_always(url: str) -> None:
    assert np.isnan(source(url).read(CHANNELS, GRID).row(QUIET)[1:]).all()


def the_load_right_now_knows_the_quiet_tenant_too(url: str) -> None:
    current = source(url).current(CALL_RATE, GRID.end_s)
    assert current.by_tenant == {ACME: pytest.approx(2 / 300), QUIET: 0.0}
    dead_at_s = GRID.start_s + 300 * (DEAD[0] + 1)
    assert source(url).current(CALL_RATE, dead_at_s).by_tenant == {QUIET: 0.0}


def a_range_that_is_too_long_is_asked_for_in_halves(url: str) -> None:
    load = source(url, SHORT_TENANT).read(CALL_RATE_UNGUARDED, LONG_GRID)
    whole = source(url, TENANT).read(CALL_RATE_UNGUARDED, LONG_GRID)
    assert load.series == whole.series == (ACME,)
    assert whole.observed.sum() == 5, "the shipper's dead half hour ends at one of six instants"
    np.testing.assert_array_equal(load.values, whole.values)


def a_missing_tenant_header_is_told(url: str) -> None:
    with pytest.raises(SourceConfigurationError, match=r"no org id; set tenant, which is sent as X-Scope-OrgID"):
        source(url, None).read(CALL_RATE, GRID)


def too_many_series_are_told(url: str) -> None:
    with pytest.raises(SourceConfigurationError, match=r"maximum number of series \(2\) reached"):
        source(url, FEW_TENANT).read(BY_EVENT, GRID)


def a_broken_query_is_told(url: str) -> None:
    with pytest.raises(SourceConfigurationError, match=r"parse error at line 1, col \d+"):
        source(url).read(BROKEN, GRID)


def log_lines_instead_of_numbers_are_told(url: str) -> None:
    with pytest.raises(SourceConfigurationError, match="the query yields log lines; count them"):
        source(url).read(LOG_LINES, GRID)


def a_query_without_the_tenant_is_told(url: str) -> None:
    with pytest.raises(SourceConfigurationError, match=r"no label 'tenantid', it has none; write 'sum by \(tenantid\)"):
        source(url).read(NO_TENANT, GRID)


EXPECTATIONS: tuple[Expectation, ...] = (
    silence_is_zero_where_the_shipper_lived_and_a_gap_where_it_was_dead,
    without_completeness_silence_is_a_gap,
    for_channels_silence_is_a_gap_always,
    the_load_right_now_knows_the_quiet_tenant_too,
    a_range_that_is_too_long_is_asked_for_in_halves,
    a_missing_tenant_header_is_told,
    too_many_series_are_told,
    a_broken_query_is_told,
    log_lines_instead_of_numbers_are_told,
    a_query_without_the_tenant_is_told,
)
