"""From a real Loki into the archive on a real MinIO, and back without the Loki."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forecasting.archive import Archive, DatasetKey
from forecasting.ingest import Ingest
from forecasting.sources import LokiSettings, open_source
from tests.servers.loki import TENANT, LokiServer
from tests.servers.loki_calls import ACME, CALL_RATE, DEAD_SLOTS, GRID, QUIET, lines

KEY = DatasetKey.of("logs", CALL_RATE, GRID.step_s)


def ingest_of(loki: LokiServer, archive: Archive) -> Ingest:
    source = open_source(LokiSettings(type="loki", url=loki.url, tenant=TENANT, retries=0), "logs")
    return Ingest(source, archive, KEY, CALL_RATE, GRID.step_s, GRID.end_s - GRID.start_s)


def test_calls_in_loki_are_read_back_from_minio_after_loki_is_gone(archive_url: str, tmp_path: Path) -> None:
    loki = LokiServer(tmp_path)
    loki.start()
    try:
        loki.push(lines(), TENANT)
        loki.flush()
        ingest = ingest_of(loki, Archive(archive_url))
        report = ingest.catch_up(GRID.end_s + 1)
        assert (report.fetched_slots, report.new_tenants, report.set_aside) == (GRID.slots, (QUIET, ACME), ())
        restarted = ingest_of(loki, Archive(archive_url))
        assert restarted.catch_up(GRID.end_s + 2).fetched_slots == 0, "the archive knows what was asked for"
    finally:
        loki.stop()
    load = ingest_of(loki, Archive(archive_url)).load(GRID.end_s + 3)
    assert load.grid == GRID
    acme, quiet = load.row(ACME), load.row(QUIET)
    alive = [slot for slot in range(GRID.slots) if slot not in DEAD_SLOTS]
    np.testing.assert_allclose(acme[alive], 2 / 300, rtol=1e-6)
    assert np.isnan(acme[list(DEAD_SLOTS)]).all(), "its log shipper was dead: that is no silence"
    np.testing.assert_allclose(quiet, [1 / 300] + [0] * (GRID.slots - 1), rtol=1e-6)
