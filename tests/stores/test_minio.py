"""The archive on a real MinIO: the promises of docs/archive.md, with the store restarted, killed, hung and refusing."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from forecasting.archive import Archive
from forecasting.errors import ArchiveError
from forecasting.load import LoadMatrix, Measure
from tests.forecasting.archive.matrices import KEY, grid, load_of, rows_of
from tests.forecasting.archive.test_stores import fill_and_check
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.minio import BUCKET, SECRET_KEY, MinioServer
from tests.stores.conftest import LeadTo


@pytest.fixture
def own_minio(tmp_path: Path) -> Iterator[MinioServer]:
    """A MinIO that the test may kill."""
    server = MinioServer(tmp_path)
    server.start()
    server.client().create_bucket(Bucket=BUCKET)
    yield server
    server.kill()


def noise(hours: int, tenants: int) -> LoadMatrix:
    """Values that do not pack, a tenth of them gaps, under names that a URL and a shell would trip on."""
    random = np.random.default_rng(7)
    values = random.random((tenants, hours), dtype=np.float32)
    values[random.random(values.shape) < 0.1] = np.nan
    names = tuple(sorted(f'çedilla "{row:05}"/%2F?#\n' for row in range(tenants)))
    return LoadMatrix(Measure.CHANNELS, names, grid(0, hours), values)


def assert_same(read: LoadMatrix, written: LoadMatrix) -> None:
    assert read.series == written.series
    np.testing.assert_array_equal(read.values, written.values)


def test_it_keeps_the_same_promises_as_a_folder(archive_url: str) -> None:
    fill_and_check(archive_url)


def test_a_whole_bucket_may_be_the_archive(own_minio: MinioServer, lead_to: LeadTo) -> None:
    lead_to(own_minio.url)
    fill_and_check(f"s3://{BUCKET}")


def test_what_was_written_is_there_after_a_restart_of_the_store(
    minio: MinioServer, archive_url: str, lead_to: LeadTo
) -> None:
    written = noise(hours=48, tenants=500)
    archive = Archive(archive_url)
    archive.append(KEY, written)
    minio.stop()
    minio.start()
    assert_same(archive.load(KEY, written.grid), written)
    lead_to(minio.url)
    assert_same(Archive(archive_url).load(KEY, written.grid), written)


def test_more_files_than_one_listing_holds(archive_url: str) -> None:
    hours = 24 * 1100
    written = load_of(0, {"acme": range(hours)})
    archive = Archive(archive_url)
    archive.append(KEY, written)
    assert archive.extent(KEY) == written.grid
    assert_same(archive.load(KEY, written.grid), written)


def append_hours(url: str, tenant: str, hours: range) -> None:
    archive = Archive(url)
    for hour in hours:
        archive.append(KEY, load_of(hour, {tenant: [hour]}))


def test_writers_that_overlap_lose_nothing_while_a_third_merges(archive_url: str) -> None:
    tenants, hours = ("acme", "beta"), range(40)
    archive = Archive(archive_url)
    merged = 0
    with ProcessPoolExecutor(len(tenants), mp_context=get_context("spawn")) as pool:
        writers = [pool.submit(append_hours, archive_url, tenant, hours) for tenant in tenants]
        while not all(writer.done() for writer in writers):
            merged += archive.compact(KEY)
        for writer in writers:
            writer.result()
    whole = {tenant: [float(hour) for hour in hours] for tenant in tenants}
    assert rows_of(Archive(archive_url).load(KEY, grid(0, 40))) == whole
    assert merged + archive.compact(KEY) > 0
    assert rows_of(archive.load(KEY, grid(0, 40))) == whole
    assert archive.problems == ()


def test_a_damaged_object_is_set_aside(minio: MinioServer, archive_url: str) -> None:
    archive = Archive(archive_url)
    archive.append(KEY, load_of(0, {"acme": [1]}))
    prefix = archive_url.removeprefix(f"s3://{BUCKET}/")
    (key,) = [key for key in minio.objects() if key.startswith(prefix + "/")]
    minio.client().put_object(Bucket=BUCKET, Key=key, Body=b"PAR1")
    assert archive.load(KEY, grid(0, 1)).series == ()
    assert [key for key in minio.objects() if key.startswith(prefix + "/")] == [key + ".corrupt"]
    assert [problem.path for problem in archive.problems] == [key.removeprefix(prefix + "/")]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}, "PermissionError: The request signature"),
        ({"AWS_ACCESS_KEY_ID": "somebody-else"}, "PermissionError: The Access Key Id you provided does not exist"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "NoCredentialsError: Unable to locate credentials"),
    ],
    ids=["secret", "key", "none"],
)
def test_wrong_credentials_are_one_error_without_the_secret(
    archive_url: str, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], told: str
) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    archive = Archive(archive_url)
    for ask in (
        lambda: archive.load(KEY, grid(0, 1)),
        lambda: archive.append(KEY, load_of(0, {"acme": [1]})),
        archive.datasets,
    ):
        with pytest.raises(ArchiveError, match=rf"{re.escape(archive_url)}: .*{told}.*the credentials allow") as caught:
            ask()
        assert "\n" not in str(caught.value)
        whole = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in whole
        assert SECRET_KEY not in whole


def test_a_missing_bucket_is_an_error_and_not_an_empty_archive(minio: MinioServer, lead_to: LeadTo) -> None:
    lead_to(minio.url)
    archive = Archive("s3://nosuch/archive")
    for ask in (
        lambda: archive.load(KEY, grid(0, 1)),
        lambda: archive.coverage(KEY),
        lambda: archive.append(KEY, load_of(0, {"acme": [1]})),
        archive.datasets,
    ):
        with pytest.raises(ArchiveError, match=r"s3://nosuch/archive: .*bucket does not exist.*check that .* exists"):
            ask()


def test_a_store_killed_in_the_middle_of_a_write_has_the_whole_of_it_or_nothing(
    own_minio: MinioServer, lead_to: LeadTo
) -> None:
    before, written = load_of(0, {"acme": [1] * 24}), noise(hours=24, tenants=20_000)
    lead_to(own_minio.url)
    Archive(f"s3://{BUCKET}/cut").append(KEY, before)
    kept = own_minio.objects()
    proxy = CuttingProxy(own_minio.port, b"PUT", after_bytes=800_000, cut=own_minio.kill)
    lead_to(proxy.url)
    archive = Archive(f"s3://{BUCKET}/cut")
    with pytest.raises(ArchiveError, match=r"cannot be written: .*check that the store is up"):
        archive.append(KEY, written)
    assert proxy.has_cut
    own_minio.start()
    assert own_minio.objects() == kept
    assert rows_of(archive.load(KEY, before.grid)) == rows_of(before)
    archive.append(KEY, written)
    proxy.close()
    read = archive.load(KEY, written.grid)
    assert_same(LoadMatrix(read.measure, read.series[1:], read.grid, read.values[1:]), written)
    assert max(own_minio.objects().values()) > 1_000_000, "the cut was in the middle of this"


def test_a_store_killed_in_the_middle_of_a_merge_reads_the_same(own_minio: MinioServer, lead_to: LeadTo) -> None:
    lead_to(own_minio.url)
    append_hours(f"s3://{BUCKET}/merge", "acme", range(25))
    whole = {"acme": [float(hour) for hour in range(25)]}
    proxy = CuttingProxy(own_minio.port, b"DELETE", after_bytes=8, cut=own_minio.kill)
    lead_to(proxy.url)
    archive = Archive(f"s3://{BUCKET}/merge")
    with pytest.raises(ArchiveError, match="cannot be removed"):
        archive.compact(KEY)
    assert proxy.has_cut
    own_minio.start()
    assert len(own_minio.objects()) == 26, "the parts and the whole"
    assert rows_of(archive.load(KEY, grid(0, 25))) == whole
    assert archive.compact(KEY) == 25
    assert len(own_minio.objects()) == 2
    assert rows_of(archive.load(KEY, grid(0, 25))) == whole
    proxy.close()


def test_a_store_that_hangs_is_told_within_a_minute_and_a_half(own_minio: MinioServer, lead_to: LeadTo) -> None:
    lead_to(own_minio.url)
    archive = Archive(f"s3://{BUCKET}/hangs")
    archive.append(KEY, load_of(0, {"acme": [1]}))
    own_minio.pause()
    began_s = time.monotonic()
    with pytest.raises(ArchiveError, match=r"cannot be listed: .*[Tt]imeout"):
        archive.load(KEY, grid(0, 1))
    assert time.monotonic() - began_s < 90
    own_minio.resume()
    assert rows_of(archive.load(KEY, grid(0, 1))) == {"acme": [1]}
