"""What a training left behind, kept beside the archive, so that a restart forecasts at once and with the same numbers.

Training reads weeks of every series and takes most of a minute for thousands of tenants; a service that is rolled out,
killed or taken over must not wait for it. A checkpoint is only ever a saving: one that is damaged, of another calltide
or of other series is not used, the training is made again from the archive, and no forecast fails for it.

It lies in its dataset's folder of the archive and not in the state directory: a replica that takes over on a shared
archive finds it, and whoever copies, moves or deletes a dataset's folder does the same with what was learnt from it.
There is one file for each kind of rows, replaced whole, so that the newest is the only one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import pickle
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import forecasting
from forecasting.archive import DatasetKey
from forecasting.archive.segment import SET_ASIDE
from forecasting.archive.store import open_store
from forecasting.calendar import CivilCalendar
from forecasting.errors import ArchiveError
from forecasting.forecast import Forecaster
from forecasting.load import LoadMatrix
from forecasting.trained_objects import UnknownObjectError, from_pickle

_MAGIC = b"calltide trained model 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_LENGTH_BYTES = 4
_SUFFIX = ".trained"
_LIBRARIES = ("numpy", "scikit-learn", "holidays")
"""What is pickled or computed by these is only sure to be read and meant alike by the same version."""


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """What a training hangs on besides the load itself. Where any of it has changed, it must be made again.

    `rows` says what the series are ("tenants", "fleets"), `model` which model learnt, `step_s` and `slots` how much
    history it saw. `members` are the tenants of each series that is a sum.
    """

    rows: str
    model: str
    step_s: int
    slots: int
    series: tuple[str, ...]
    calendars: tuple[CivilCalendar, ...]
    members: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(
        cls,
        rows: str,
        model: Forecaster,
        history: LoadMatrix,
        calendars: Sequence[CivilCalendar],
        members: Sequence[tuple[str, ...]] = (),
    ) -> TrainedOn:
        """What a training of this model on this history would hang on."""
        grid = history.grid
        return cls(rows, model.name, grid.step_s, grid.slots, history.series, tuple(calendars), tuple(members))

    def digest(self) -> str:
        """The same in every process for equal values: they are strings, numbers, dates and tuples of these."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained model, what it was trained on, and up to when, epoch seconds."""

    trained_on: TrainedOn
    trained_until_s: int
    model: Forecaster


@dataclass(frozen=True, slots=True, eq=False)
class ReadCheckpoint:
    """What was found. `problem` says what was damaged or could not be read, and where it went; None for nothing.

    None without a problem: there is none, or none that serves (of another calltide, of other series, too old).
    """

    trained: Trained | None
    problem: str | None = None


class Checkpoints:
    """The checkpoints of one dataset in the archive at this URL.

    Raises:
        ArchiveError: the URL's protocol is not known or its driver is not installed.
    """

    def __init__(self, archive_url: str, key: DatasetKey) -> None:
        self._store = open_store(archive_url)
        self._folder = key.folder

    def read(self, wanted: TrainedOn, not_before_s: int, until_s: int) -> ReadCheckpoint:
        """The training that hangs on what is wanted, if it ended in [not_before_s, until_s]. Never raises."""
        path = self._path(wanted.rows)
        try:
            content = self._store.read(path)
        except FileNotFoundError:
            return ReadCheckpoint(None)
        except ArchiveError as error:
            return ReadCheckpoint(None, f"{error}; the model is trained again")
        try:
            header, pickled = _parts(content)
            trained_until_s = int(header["trained_until_s"])
            if (header["engine"], header["trained_on"]) != (engine_fingerprint(), wanted.digest()):
                return ReadCheckpoint(None)
            if not not_before_s <= trained_until_s <= until_s:
                return ReadCheckpoint(None)
            return ReadCheckpoint(Trained(wanted, trained_until_s, from_pickle(pickled)))
        except Exception as error:  # noqa: BLE001 - damaged bytes make pickle raise anything; a forecast fails by none
            return ReadCheckpoint(None, self._set_aside(path, error))

    def write(self, trained: Trained) -> None:
        """Replace the checkpoint of these rows, whole and durable.

        Raises:
            ArchiveError: it cannot be written, and the one that was there stays; or the model cannot be pickled.
        """
        path = self._path(trained.trained_on.rows)
        try:
            pickled = pickle.dumps(trained.model, protocol=5)
            from_pickle(pickled)
        except (pickle.PicklingError, UnknownObjectError, TypeError, AttributeError) as error:
            raise ArchiveError(
                f"{path}: what {trained.trained_on.model} has learnt cannot be kept: {error}; a restart trains again"
            ) from error
        header: dict[str, str | int] = {
            "engine": engine_fingerprint(),
            "trained_on": trained.trained_on.digest(),
            "trained_until_s": trained.trained_until_s,
        }
        self._store.write(path, _whole(header, pickled))

    def _path(self, rows: str) -> str:
        # The archive looks at nothing in its folders that does not end as its segments do.
        return f"{self._folder}/{rows}{_SUFFIX}"

    def _set_aside(self, path: str, reason: Exception) -> str:
        try:
            self._store.set_aside(path)
        except ArchiveError as error:
            return f"{path}: {reason}; it cannot be set aside ({error}). The model is trained again"
        return f"{path}: {reason}; it is kept as {path}{SET_ASIDE}, and the model is trained again"


@functools.cache
def engine_fingerprint() -> str:
    """Changes with the code of this room and with the libraries that what is learnt is made of.

    The code itself is read and no number that somebody would have to raise with each change of a model.
    """
    digest = hashlib.sha256()
    for name in ("python", *_LIBRARIES):
        digest.update(f"{name} {platform.python_version() if name == 'python' else metadata.version(name)}\n".encode())
    room = Path(forecasting.__file__).parent
    for path in sorted(room.rglob("*.py")):
        digest.update(f"{path.relative_to(room)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _whole(header: dict[str, str | int], pickled: bytes) -> bytes:
    head = json.dumps(header).encode()
    payload = len(head).to_bytes(_LENGTH_BYTES, "big") + head + pickled
    return _MAGIC + hashlib.sha256(payload).digest() + payload


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    if not content.startswith(_MAGIC):
        raise ValueError("it is not a trained model of this version")
    start = len(_MAGIC) + _DIGEST_BYTES
    payload = content[start:]
    if hashlib.sha256(payload).digest() != content[len(_MAGIC) : start]:
        raise ValueError("its checksum does not fit")
    end = _LENGTH_BYTES + int.from_bytes(payload[:_LENGTH_BYTES], "big")
    return json.loads(payload[_LENGTH_BYTES:end]), payload[end:]
