"""The files of a policy directory, as texts.

Works on a plain folder and on a mounted ConfigMap, whose visible files are links through the hidden `..data`, which
Kubernetes swaps for a new folder in one step. Only the texts leave here: everything later (errors, what is kept for
a restart, the fingerprint) is made from them and not from the disk.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaler.errors import Problem

MAXIMUM_BYTES = 1024 * 1024
_SUFFIXES = (".yaml", ".yml")
_SWAP_ATTEMPTS = 5
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


@dataclass(frozen=True, slots=True)
class PolicyText:
    """One file. `file` is its path as messages show it."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a directory held at one moment, with what could not be read."""

    texts: tuple[PolicyText, ...]
    problems: tuple[Problem, ...]

    @property
    def fingerprint(self) -> str:
        """Changes when a file, its name or a problem does."""
        return fingerprint_of(self.texts, self.problems)


def fingerprint_of(texts: Sequence[PolicyText], problems: Sequence[Problem] = ()) -> str:
    """SHA-256 of names and contents, hexadecimal."""
    digest = hashlib.sha256()
    for part in (*(part for text in texts for part in (text.file, text.text)), *map(str, problems)):
        encoded = part.encode("utf-8", "surrogateescape")
        digest.update(f"{len(encoded)}:".encode())
        digest.update(encoded)
    return digest.hexdigest()


def read_directory(directory: Path) -> Reading:
    """Every `*.yaml` and `*.yml` of the directory, not of its subdirectories; hidden names are left out.

    Never raises for what stands on the disk: what is wrong with it is in the problems.
    """
    for _ in range(_SWAP_ATTEMPTS):
        before = _swap_target(directory)
        reading = _read_once(directory)
        if _swap_target(directory) == before:
            return reading
    changing = Problem(str(directory), 0, "", "The directory changes while it is read. It will be read again.")
    return Reading((), (changing,))


def _swap_target(directory: Path) -> Path | None:
    try:
        return (directory / "..data").readlink()
    except OSError:
        return None


def _read_once(directory: Path) -> Reading:
    try:
        names = sorted(
            entry.name
            for entry in os.scandir(directory)
            if not entry.name.startswith(".") and entry.name.endswith(_SUFFIXES) and not entry.is_dir()
        )
    except OSError as error:
        remedy = "Create it with at least one policy, or name another directory."
        return Reading((), (Problem(_printable(directory), 0, "", f"{_reason(error)}. {remedy}"),))
    if not names:
        nothing = "There is no *.yaml or *.yml file here. Put at least one policy into it."
        return Reading((), (Problem(_printable(directory), 0, "", nothing),))
    read = [read_file(directory / name) for name in names]
    return Reading(
        tuple(text for text in read if isinstance(text, PolicyText)),
        tuple(problem for problem in read if isinstance(problem, Problem)),
    )


def read_file(path: Path) -> PolicyText | Problem:
    """One file's text, or why there is none."""
    file = _printable(path)
    try:
        if not path.is_file():
            return Problem(file, 0, "", "This is no regular file, or a link to nothing. Remove it or rename it.")
        with path.open("rb") as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        return Problem(file, 0, "", f"{_reason(error)}. Make the file readable, or remove it.")
    return decode(file, content)


def decode(file: str, content: bytes) -> PolicyText | Problem:
    """The text of a file's bytes."""
    if len(content) > MAXIMUM_BYTES:
        return Problem(file, 1, "", "The file is larger than 1 MiB. Split it into several.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Problem(file, line, "", "This is not UTF-8. Save the file in UTF-8.")
    strange = _UNPRINTABLE.search(text)
    if strange is not None:
        line = text.count("\n", 0, strange.start()) + 1
        message = f"There is a control character (U+{ord(strange[0]):04X}), which YAML does not allow. Remove it."
        return Problem(file, line, "", message)
    return PolicyText(file, text)


def _printable(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _reason(error: OSError) -> str:
    return f"It cannot be read ({error.strerror or error})"
