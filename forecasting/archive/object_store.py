"""An object store, like S3 or MinIO, as the archive wants it: flat keys, atomic puts, no rename, errors that come soon.

fsspec's S3 driver is made for people who explore data: it takes minutes to give up on a store that hangs, and a bucket
that is not there looks like an empty folder. To an archive the one is a stuck worker, the other a history that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from forecasting.archive.segment import SET_ASIDE
from forecasting.errors import ArchiveError

_S3_OPTIONS: Mapping[str, Any] = {
    "config_kwargs": {
        "connect_timeout": 5,
        "read_timeout": 10,
        "retries": {"total_max_attempts": 2, "mode": "standard"},
    },
}
_S3_ATTEMPTS = 2
"""The driver's own, around those of the library below it: a store that hangs is told after 2 × 2 × 10 s."""


def driver_options(url: str) -> Mapping[str, Any]:
    """What the driver of this URL is opened with.

    Raises:
        ArchiveError: an S3 URL holds credentials: the driver takes them for the bucket's name, and tells it in errors.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("s3", "s3a"):
        return {}
    # A secret key may hold a slash, so that the @ is beyond what looks like the host. An access point's ARN has colons.
    if "@" in parts.netloc or (":" in parts.netloc and not parts.netloc.startswith("arn:")):
        raise ArchiveError(
            "archive: its S3 URL holds credentials; write s3://bucket/prefix and give them in the environment as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and another store than Amazon's as AWS_ENDPOINT_URL_S3"
        )
    return _S3_OPTIONS


class ObjectStore:
    """Anything but a folder that fsspec reaches."""

    def __init__(self, filesystem: Any, root: str, shown: str) -> None:
        if "s3" in filesystem.protocol:
            filesystem.retries = _S3_ATTEMPTS
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self.shown = shown

    def folders(self) -> list[str]:
        """Names of all folders."""
        return self._listed("", "directory")

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; empty where there is no such folder."""
        return self._listed(folder, "file")

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError where it is gone."""
        with self._explained(path, "read", missing_is_fine=True):
            data: bytes = self._filesystem.cat_file(self._key(path))
            return data

    def write(self, path: str, data: bytes) -> None:
        """Make the file appear whole and durable, or not at all."""
        with self._explained(path, "written"):
            self._filesystem.pipe_file(self._key(path), data)

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        with self._explained(path, "removed"), suppress(FileNotFoundError):
            self._filesystem.rm_file(self._key(path))

    def set_aside(self, path: str) -> None:
        """Put the file out of the way under a name ending in `.corrupt`."""
        with self._explained(path, "renamed"), suppress(FileNotFoundError):
            self._filesystem.cp_file(self._key(path), self._key(path) + SET_ASIDE)
            self._filesystem.rm_file(self._key(path))

    def sweep(self, folder: str) -> None:
        """A put that never ended leaves nothing that can be seen."""

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _listed(self, folder: str, kind: str) -> list[str]:
        with self._explained(folder or "it", "listed"):
            # Another process may have written since: a listing that fsspec remembers would hide it.
            self._filesystem.invalidate_cache()
            try:
                entries = self._filesystem.ls(self._key(folder), detail=True)
            except FileNotFoundError as error:
                if _is_said_by_the_server(error):
                    raise
                return []
            return sorted(str(entry["name"]).rsplit("/", 1)[1] for entry in entries if entry["type"] == kind)

    @contextmanager
    def _explained(self, path: str, verb: str, *, missing_is_fine: bool = False) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # drivers raise their own families: botocore's do not even derive from OSError
            if missing_is_fine and isinstance(error, FileNotFoundError):
                raise
            raise ArchiveError(
                f"{self.shown}: {path} cannot be {verb}: {type(error).__name__}: {error}; check that the store is up, "
                "the bucket exists and the credentials allow to list, get, put and delete; what was written stays"
            ) from error


def _is_said_by_the_server(missing: FileNotFoundError) -> bool:
    """Whether S3 answered that the bucket is not there. A folder without files is the driver's own conclusion."""
    return hasattr(missing.__cause__, "response")
