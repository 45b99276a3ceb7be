"""Small JSON files in the state directory that a crash leaves whole: either the old content or the new one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import structlog

from scaler.errors import StateError

_log = structlog.get_logger("policies")


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
    """The file's content; None when there is none. A damaged file is set aside under `*.damaged` and counts as none.

    Raises:
        StateError: it is there and cannot be read.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        return set_aside(path, error)
    except OSError as error:
        raise StateError(f"{path}: it cannot be read ({error}). Check its permissions.") from error
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        return set_aside(path, error)


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
    _log.warning("a damaged file was set aside", file=str(path), aside=str(aside), reason=str(reason)[:200])


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
