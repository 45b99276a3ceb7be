"""Small JSON files in the state directory that a crash leaves whole: either the old content or the new one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog

from scaler.errors import StateError

_log = structlog.get_logger("policies")

_Content = TypeVar("_Content")


class DamagedFileError(StateError):
    """A file of the state directory holds what nobody wrote. The service sets it aside; a command only tells."""

    def __init__(self, path: Path, reason: Exception | str) -> None:
        super().__init__(f"{path}: it is damaged ({str(reason)[:200]!r}). The service sets it aside at its next start.")
        self.path = path


def write_json(path: Path, content: Any) -> None:
    """Replace the file, and be sure that it is on disk.

    The temporary file is named after the file, so that a crash leaves no litter; one process writes a file at a time.

    Raises:
        StateError: it cannot be written; what was there stays.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StateError(f"{path}: it cannot be written ({error}). Check space and permissions.") from error


def read_json(path: Path) -> Any:
    """The file's content; None when there is no file.

    Raises:
        DamagedFileError: what is there is no JSON.
        StateError: it is there and cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, error) from None
    except OSError as error:
        raise StateError(f"{path}: it cannot be read ({error}). Check its permissions.") from error


def or_set_aside(read: Callable[[], _Content], otherwise: _Content) -> _Content:
    """What is read; when the file is damaged it is set aside, so that a start never fails for it.

    Raises:
        StateError: the file cannot be read, or is damaged and cannot be set aside.
    """
    try:
        return read()
    except DamagedFileError as error:
        set_aside(error.path, error)
        return otherwise


def set_aside(path: Path, reason: Exception) -> None:
    """Rename a damaged file, so that it can be looked at and is in nobody's way.

    Raises:
        StateError: it cannot be renamed.
    """
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError as error:
        raise StateError(f"{path}: it is damaged and cannot be set aside ({error}). Remove it by hand.") from error
    _log.warning("a damaged file was set aside", file=str(path), aside=str(aside), reason=str(reason))


def remove(path: Path) -> None:
    """Delete the file; it may be gone already.

    Raises:
        StateError: it cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"{path}: it cannot be deleted ({error}). Check the permissions of its folder.") from error


def _sync(directory: Path) -> None:
    # The rename itself must be on disk, too.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
