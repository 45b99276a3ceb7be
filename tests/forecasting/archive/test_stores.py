"""The same archive on a folder and on an object store, and what it says when the store refuses."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from forecasting.archive import Archive
from forecasting.errors import ArchiveError
from tests.forecasting.archive.matrices import KEY, grid, load_of, rows_of, segments


class BucketFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Memory that behaves like an object store's driver: it remembers listings, and it can fail in its own words."""

    protocol = "bucket"
    remembered: dict[str, Any] = {}  # noqa: RUF012  the driver's cache is shared by its instances
    failure: Exception | None = None

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        if path not in self.remembered:
            self.remembered[path] = super().ls(path, detail=True, **options)
        return self.remembered[path]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.remembered.clear()

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        if BucketFileSystem.failure is not None:
            raise BucketFileSystem.failure
        super().pipe_file(path, value, **options)

    def mv(self, *paths: str, **options: Any) -> None:
        raise AssertionError("an object store has no rename")


fsspec.register_implementation("bucket", BucketFileSystem, clobber=True)


@pytest.fixture
def bucket_url() -> Iterator[str]:
    BucketFileSystem.failure = None
    yield f"bucket://calltide/{uuid4().hex}/archive"
    BucketFileSystem.failure = None


def fill_and_check(url: str) -> None:
    writer, reader = Archive(url), Archive(url)
    assert reader.load(KEY, grid(0, 4)).series == ()
    for hour in range(4):
        writer.append(KEY, load_of(hour, {"acme": [hour]}))
    assert rows_of(reader.load(KEY, grid(0, 4))) == {"acme": [0, 1, 2, 3]}
    writer.append(KEY, load_of(30, {"acme": [30]}))
    assert writer.compact(KEY) == 4
    assert rows_of(reader.load(KEY, grid(0, 4))) == {"acme": [0, 1, 2, 3]}
    assert reader.datasets() == (KEY,)
    assert writer.drop_before(KEY, grid(24, 1).start_s) == 1
    assert reader.extent(KEY) == grid(30, 1)


@pytest.mark.parametrize("protocol", ["memory", "bucket"])
def test_an_object_store_is_reached_without_a_single_call_to_the_local_disk(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(*_: object, **__: object) -> None:
        raise AssertionError("a local call for a remote URL")

    with monkeypatch.context() as patched:
        for name in ("open", "replace", "rename", "mkdir", "scandir", "unlink", "fsync"):
            patched.setattr(os, name, local)
        fill_and_check(f"{protocol}://calltide/{uuid4().hex}/archive")


def test_a_folder_keeps_the_same_promises(tmp_path: Path) -> None:
    fill_and_check(str(tmp_path / "not" / "yet" / "there"))
    fill_and_check(f"file://{tmp_path}/by-url")


def test_a_damaged_object_is_set_aside_without_a_rename(bucket_url: str) -> None:
    archive = Archive(bucket_url)
    archive.append(KEY, load_of(0, {"acme": [1]}))
    filesystem, root = fsspec.core.url_to_fs(bucket_url)
    (path,) = filesystem.find(root)
    MemoryFileSystem.pipe_file(filesystem, path, b"PAR1")
    assert archive.load(KEY, grid(0, 1)).series == ()
    assert filesystem.find(root) == [path + ".corrupt"]
    assert archive.extent(KEY) is None


def test_an_error_of_the_stores_driver_becomes_ours_and_loses_nothing(bucket_url: str) -> None:
    archive = Archive(bucket_url)
    archive.append(KEY, load_of(0, {"acme": [1]}))
    BucketFileSystem.failure = RuntimeError("SlowDown: reduce your request rate")
    with pytest.raises(
        ArchiveError, match=r"bucket://.* cannot be written: RuntimeError: SlowDown.*check that the store"
    ):
        archive.append(KEY, load_of(1, {"acme": [2]}))
    assert rows_of(archive.load(KEY, grid(0, 2))) == {"acme": [1, None]}


def test_credentials_in_a_url_reach_no_error() -> None:
    with pytest.raises(ArchiveError) as caught:
        Archive("nosuch://key:hunter2@bucket/prefix?token=hunter2")
    assert "hunter2" not in str(caught.value)
    assert "nosuch://bucket/prefix" in str(caught.value)


@pytest.mark.parametrize("place", ["KEYID:hunter2@bucket/prefix", "KEYID:hunter2/hunter2@bucket/prefix"])
@pytest.mark.parametrize("protocol", ["s3", "s3a"])
def test_an_s3_url_with_credentials_is_refused_and_says_where_they_belong(protocol: str, place: str) -> None:
    with pytest.raises(ArchiveError, match="in the environment as AWS_ACCESS_KEY_ID and AWS_SECRET") as caught:
        Archive(f"{protocol}://{place}")
    assert "hunter2" not in str(caught.value)


def test_a_bucket_that_the_server_does_not_know_is_an_error_and_not_an_empty_archive(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClientError(Exception):
        response = {"Error": {"Code": "NoSuchBucket"}}  # noqa: RUF012  as botocore has it

    def refuse(*_: object, **__: object) -> Any:
        raise FileNotFoundError("The specified bucket does not exist") from ClientError()

    archive = Archive(bucket_url)
    assert archive.extent(KEY) is None, "a folder without files is an empty archive"
    monkeypatch.setattr(BucketFileSystem, "ls", refuse)
    for ask in (lambda: archive.load(KEY, grid(0, 1)), lambda: archive.extent(KEY), archive.datasets):
        with pytest.raises(ArchiveError, match="cannot be listed: FileNotFoundError: The specified bucket"):
            ask()


def test_s3_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ArchiveError, match=r"pip install calltide\[s3\]"):
        Archive("s3://bucket/prefix")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "free space on that disk"),
        (errno.EACCES, "give calltide's user permission"),
        (errno.EROFS, "mount it writable"),
        (errno.EIO, "check the disk and its mount"),
    ],
)
def test_a_disk_that_refuses_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    archive = Archive(str(tmp_path))
    archive.append(KEY, load_of(0, {"acme": [1]}))

    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", refuse)
        with pytest.raises(ArchiveError, match=remedy) as caught:
            archive.append(KEY, load_of(1, {"acme": [2]}))
    assert str(tmp_path / KEY.folder) in str(caught.value)
    assert rows_of(archive.load(KEY, grid(0, 2))) == {"acme": [1, None]}
    assert [path.name for path in (tmp_path / KEY.folder).iterdir()] == [path.name for path in segments(tmp_path)]


def test_a_folder_that_may_not_be_read_is_an_error_and_not_an_empty_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(str(tmp_path))
    archive.append(KEY, load_of(0, {"acme": [1]}))

    def refuse(*_: object, **__: object) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    for place, name in ((os, "stat"), (os, "scandir"), (Path, "read_bytes")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, refuse)
            with pytest.raises(ArchiveError, match="cannot be read: Permission denied"):
                archive.load(KEY, grid(0, 1))
    assert archive.problems == ()
    assert len(segments(tmp_path)) == 1


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file")
    archive = Archive(str(tmp_path / "archive"))
    with pytest.raises(ArchiveError, match="name a folder"):
        archive.append(KEY, load_of(0, {"acme": [1]}))
    with pytest.raises(ArchiveError, match="name a folder"):
        archive.coverage(KEY)


def test_what_a_killed_write_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    archive.append(KEY, load_of(0, {"acme": [1]}))
    left = segments(tmp_path)[0].with_name("2024-10-04.parquet.0123.tmp")
    left.write_bytes(b"half")
    archive.compact(KEY)
    assert left.exists(), "it may belong to a write that is going on"
    os.utime(left, (0, 0))
    archive.compact(KEY)
    assert not left.exists()
    assert rows_of(archive.load(KEY, grid(0, 1))) == {"acme": [1]}
