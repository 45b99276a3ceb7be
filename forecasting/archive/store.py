"""Where segment files lie: a folder or an object store (object_store.py), behind the few verbs that the archive needs.

Both promise the same: a file appears whole under its name or not at all. On a local disk that takes a temporary name,
fsync of the file, a rename and fsync of the folder; an object store's single put is atomic by itself.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import fsspec

from forecasting.archive.object_store import ObjectStore, driver_options
from forecasting.archive.segment import SET_ASIDE
from forecasting.errors import ArchiveError

_TEMPORARY = ".tmp"
_LEFT_OVER_AFTER_S = 3600  # a write takes seconds: an older temporary file belongs to a process that died


class Store(Protocol):
    """Folders of files. Paths are `folder/name`; every method raises ArchiveError except where it says more."""

    shown: str
    """The place, for people: without credentials."""

    def folders(self) -> list[str]:
        """Names of all folders."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; empty where there is no such folder."""
        ...

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError where it is gone."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Make the file appear whole and durable, or not at all."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        ...

    def set_aside(self, path: str) -> None:
        """Put the file out of the way under a name ending in `.corrupt`."""
        ...

    def sweep(self, folder: str) -> None:
        """Remove what writes that never ended have left."""
        ...


def open_store(url: str) -> Store:
    """The store behind an fsspec URL; a plain path is a local folder.

    Raises:
        ArchiveError: the URL's protocol is not known, its driver is not installed, or it holds S3 credentials.
    """
    options = driver_options(url)
    shown = _without_credentials(url)
    try:
        filesystem, root = fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise ArchiveError(
            f"archive {shown}: {type(error).__name__} for this kind of URL; use a folder, or s3://bucket/prefix with "
            "`pip install calltide[s3]`"
        ) from error
    if "file" in (filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)):
        return LocalStore(Path(root))
    return ObjectStore(filesystem, root, shown)


class LocalStore:
    """A folder of a local or mounted disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.shown = str(root)

    def folders(self) -> list[str]:
        """Names of all folders."""
        with _explained(self._root, "read"):
            return sorted(entry.name for entry in os.scandir(self._root) if entry.is_dir()) if self._exists("") else []

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; empty where there is no such folder."""
        with _explained(self._root / folder, "read"):
            if not self._exists(folder):
                return []
            return sorted(entry.name for entry in os.scandir(self._root / folder) if entry.is_file())

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError where it is gone."""
        with _explained(self._root / path, "read", missing_is_fine=True):
            return (self._root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        """Make the file appear whole and durable, or not at all."""
        target = self._root / path
        temporary = target.with_name(f"{target.name}.{uuid4().hex}{_TEMPORARY}")
        with _explained(target, "written"):
            _make_folder(target.parent)
            try:
                _write_through(temporary, data)
                os.replace(temporary, target)  # noqa: PTH105  os.*, so that every step can be made to fail in a test
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            _sync_folder(target.parent)

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        with _explained(self._root / path, "removed"):
            (self._root / path).unlink(missing_ok=True)

    def set_aside(self, path: str) -> None:
        """Put the file out of the way under a name ending in `.corrupt`."""
        with _explained(self._root / path, "renamed"), suppress(FileNotFoundError):
            (self._root / path).rename(self._root / (path + SET_ASIDE))

    def sweep(self, folder: str) -> None:
        """Remove what writes that never ended have left."""
        # File times are the machine's, not those of a clock that a demo runs fast.
        oldest = time.time() - _LEFT_OVER_AFTER_S
        for name in self.names(folder):
            path = self._root / folder / name
            if name.endswith(_TEMPORARY):
                with _explained(path, "removed"), suppress(FileNotFoundError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()

    def _exists(self, folder: str) -> bool:
        # Not Path.exists: where a part of the path is a file it says False, and the archive would look empty.
        try:
            os.stat(self._root / folder)  # noqa: PTH116  see above
        except FileNotFoundError:
            return False
        return True


def _make_folder(folder: Path) -> None:
    # From the outside in, each made durable in its parent: a file in a folder that a power cut takes away is lost too.
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_REMEDIES = {
    errno.ENOSPC: "free space on that disk or move the archive to a larger one",
    errno.EDQUOT: "raise the quota or move the archive",
    errno.EACCES: "give calltide's user permission to read and write there",
    errno.EPERM: "give calltide's user permission to read and write there",
    errno.EROFS: "the file system is mounted read-only: mount it writable or name another folder",
    errno.ENOTDIR: "a part of the path is a file: name a folder",
    errno.EEXIST: "a part of the path is a file: name a folder",
}


@contextmanager
def _explained(path: Path, verb: str, *, missing_is_fine: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if missing_is_fine and isinstance(error, FileNotFoundError):
            raise
        remedy = _REMEDIES.get(error.errno or 0, "check the disk and its mount")
        raise ArchiveError(
            f"{path} cannot be {verb}: {error.strerror or error}; {remedy}; what was written before stays readable"
        ) from error


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
