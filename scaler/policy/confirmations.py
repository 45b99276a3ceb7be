"""How `calltide policy confirm` reaches the service: a small file per command in the state directory.

The command runs in a process of its own, perhaps by `kubectl exec`, so it needs no port and no credentials. It names
the very specs that it was shown; a change that came later waits for a confirmation of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from scaler.errors import StateError
from scaler.policy.kept import or_set_aside, read_json, remove, write_json
from scaler.policy.standing import Pending, read_standings

KEPT_IN = "policies"
"""Folder of this room in the state directory."""
_FOLDER = "confirmations"
_LEADER = "leader.json"


def waiting(state: Path) -> tuple[Pending, ...]:
    """The changes that wait, as the service last wrote them down, in the order of their fleets.

    Raises:
        StateError: the state directory is not there, cannot be read, or is damaged.
    """
    if not (state / KEPT_IN).is_dir():
        raise StateError(
            f"{state}: this is no state directory of a service that ran. Name the one of its configuration."
        )
    standings = read_standings(state / KEPT_IN)
    return tuple(standing.pending for _, standing in sorted(standings.items()) if standing.pending is not None)


def note_leader(state: Path, name: str | None) -> None:
    """Leave word for the command that this replica follows another one, or with None that it does not.

    Raises:
        StateError: it cannot be written.
    """
    path = state / KEPT_IN / _LEADER
    if name is None:
        remove(path)
    else:
        write_json(path, {"leader": name})


def noted_leader(state: Path) -> str | None:
    """The replica that keeps the changes which wait here, None when the service of this state directory does.

    Raises:
        StateError: it cannot be read.
    """
    content = read_json(state / KEPT_IN / _LEADER)
    return str(content["leader"]) if isinstance(content, dict) and "leader" in content else None


def request(state: Path, confirmed: Sequence[Pending]) -> Path:
    """Leave the wish to confirm these changes for the service, which takes it up within seconds.

    Raises:
        StateError: it cannot be written.
    """
    path = state / KEPT_IN / _FOLDER / f"{uuid4().hex}.json"
    write_json(path, {change.fleet: change.digest for change in confirmed})
    return path


def requests(directory: Path) -> Mapping[Path, Mapping[str, str]]:
    """The wishes that lie there: fleet and digest of the spec that is confirmed.

    Raises:
        StateError: the folder cannot be read.
    """
    try:
        paths = sorted(path for path in (directory / _FOLDER).glob("*.json") if not path.name.startswith("."))
    except OSError as error:
        raise StateError(f"{directory / _FOLDER}: it cannot be read ({error}). Check its permissions.") from error
    found: dict[Path, Mapping[str, str]] = {}
    for path in paths:
        content: Any = or_set_aside(partial(read_json, path), None)
        if content is not None:
            found[path] = {str(fleet): str(digest) for fleet, digest in _entries(content)}
    return found


def _entries(content: Any) -> Sequence[tuple[object, object]]:
    # Anybody may have left a file here; what is no wish confirms nothing.
    return tuple(content.items()) if isinstance(content, dict) else ()
