"""The plan book on disk: one file, replaced whole, so that a crash at any moment leaves the old or the new one.

A header with version, length and checksum goes before numpy arrays (no pickle: a file must not be able to run code).
A file that does not fit its checksum is set aside and told; the service starts without it, since a missing plan book
means holding and a service that does not start means nothing at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from forecasting.grid import SlotGrid
from keda_external_scaler.book import HOURS_OF_A_WEEK
from scaler.core.fleets import FleetKey
from scaler.core.inputs import LastPlan
from scaler.core.plan_book import FleetPages, PlanBook
from scaler.errors import StateError

FILE_NAME = "plan-book.bin"
_MAGIC = b"calltide plan book 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_SET_ASIDE = ".corrupt"


class DamagedPlanBookError(StateError):
    """Bytes that are no whole plan book of this version."""


@dataclass(frozen=True, slots=True)
class ReadPlanBook:
    """What was read; `problem` says what was wrong with the file and where it went, None when nothing was."""

    book: PlanBook
    problem: str | None = None


def write_plan_book(directory: Path, book: PlanBook) -> Path:
    """Replace the plan book in this directory, and be sure that it is on disk.

    One process writes at a time: the temporary file has one name, so that a crash leaves no litter.

    Raises:
        StateError: it cannot be written; the book that was there stays.
    """
    path = directory / FILE_NAME
    temporary = path.with_suffix(".tmp")
    raw = to_bytes(book)
    try:
        with temporary.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(directory)
    except OSError as error:
        raise StateError(f"{path}: the plan book cannot be written: {error}. Check space and permissions.") from error
    return path


def read_plan_book(directory: Path) -> ReadPlanBook:
    """The plan book of this directory, empty when there is none. Never raises: a start always succeeds."""
    path = directory / FILE_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ReadPlanBook(PlanBook())
    except OSError as error:
        return ReadPlanBook(PlanBook(), _set_aside(path, error))
    try:
        return ReadPlanBook(from_bytes(content))
    except DamagedPlanBookError as error:
        return ReadPlanBook(PlanBook(), _set_aside(path, error))


def to_bytes(book: PlanBook) -> bytes:
    """The plan book as it lies on disk and travels to followers."""
    payload = _packed(book)
    return _MAGIC + hashlib.sha256(payload).digest() + payload


def from_bytes(content: bytes) -> PlanBook:
    """Read what `to_bytes` wrote.

    Raises:
        DamagedPlanBookError: it is not whole, or of another version.
    """
    try:
        return _unpacked(_payload(content))
    except (ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedPlanBookError(str(error)) from error


def _set_aside(path: Path, error: Exception) -> str:
    aside = path.with_suffix(_SET_ASIDE)
    try:
        path.replace(aside)
    except OSError as second:
        return f"{path}: the plan book is damaged ({error}) and cannot be set aside: {second}. Remove it by hand."
    return f"{path}: the plan book is damaged ({error}); it lies in {aside} now. Fleets hold until a forecast."


def _sync_directory(directory: Path) -> None:
    # The rename itself must be on disk, too.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _payload(content: bytes) -> bytes:
    if not content.startswith(_MAGIC):
        raise ValueError("it is not a plan book of this version")
    start = len(_MAGIC) + _DIGEST_BYTES
    payload = content[start:]
    if hashlib.sha256(payload).digest() != content[len(_MAGIC) : start]:
        raise ValueError("its checksum does not fit")
    return payload


def _packed(book: PlanBook) -> bytes:
    pages = list(book.pages.values())
    names = [[fleet.namespace, fleet.name, page.policy] for fleet, page in book.pages.items()]
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "names": np.frombuffer(json.dumps(names).encode(), dtype=np.uint8),
        "numbers": np.array(
            [
                (page.last.need, page.last.answer, page.hour, page.hour_need, page.grid.start_s, page.grid.step_s)
                for page in pages
            ],
            dtype=np.int64,
        ).reshape(len(pages), 6),
        "made_at_s": np.array([page.last.made_at_s for page in pages], dtype=np.float64),
        "slots": np.array([page.grid.slots for page in pages], dtype=np.int64),
        "paths": np.concatenate([np.zeros(0, dtype=np.int32), *(page.path for page in pages)]),
        "weeks": np.array([page.week for page in pages], dtype=np.int32).reshape(len(pages), HOURS_OF_A_WEEK),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpacked(payload: bytes) -> PlanBook:
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        # What is written here is never compressed: a few bytes must not become more than memory holds.
        if any(member.compress_type != zipfile.ZIP_STORED for member in arrays.zip.infolist()):
            raise ValueError("its arrays are compressed")
        names = json.loads(arrays["names"].tobytes())
        numbers, made_at_s, slots = arrays["numbers"].tolist(), arrays["made_at_s"].tolist(), arrays["slots"]
        paths, weeks = np.split(arrays["paths"], np.cumsum(slots)[:-1]), arrays["weeks"]
    pages = {}
    for row, (namespace, name, policy) in enumerate(names):
        need, answer, hour, hour_need, start_s, step_s = numbers[row]
        last = LastPlan(need, answer, made_at_s[row])
        grid = SlotGrid(start_s, step_s, len(paths[row]))
        pages[FleetKey(namespace, name)] = FleetPages(policy, last, grid, paths[row], weeks[row], hour, hour_need)
    return PlanBook(pages)
