"""Configuration files with a few places left open, filled in for one container.

The files are kept as files so that they read, and can be tried, as the server's own configuration. The mark is
%{NAME}, not ${NAME}: Asterisk and Kamailio use the dollar themselves.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from pathlib import Path


class ConfigurationError(Exception):
    """A file cannot be filled in; the text names the file, the place and the remedy."""


class _Text(string.Template):
    delimiter = "%"
    flags = re.NOFLAG  # names are in capitals
    # Braces are required: '%d' and the like belong to the server. It is compiled when the class is made.
    pattern = r"%(?:(?P<escaped>%)|\{(?P<braced>[A-Z][A-Z0-9_]*)\}|(?P<named>(?!))|(?P<invalid>(?!)))"  # type: ignore[assignment]


def filled(file: Path, values: Mapping[str, str]) -> str:
    """The file's text with its places filled in.

    Raises:
        ConfigurationError: a place has no value, or a value would break out of its line.
    """
    try:
        return _Text(file.read_text(encoding="utf-8")).substitute(_Checked(file, values))
    except KeyError as error:
        raise ConfigurationError(
            f"{file.name}: no value for %{{{error.args[0]}}}; known are {', '.join(sorted(values))}"
        ) from error


def fill_folder(source: Path, target: Path, values: Mapping[str, str]) -> None:
    """Write every file of `source`, filled in, as the only files of `target`.

    What the package put there goes: a sample that is read by accident is configuration that nobody wrote.
    """
    texts = {file.name: filled(file, values) for file in sorted(source.iterdir()) if file.is_file()}
    target.mkdir(parents=True, exist_ok=True)
    for known in target.iterdir():
        if known.is_file() or known.is_symlink():
            known.unlink()
    for name, text in texts.items():
        (target / name).write_text(text, encoding="utf-8")


class _Checked(dict[str, str]):
    """Values, each looked at as it is used."""

    def __init__(self, file: Path, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self._file = file

    def __getitem__(self, name: str) -> str:
        value = super().__getitem__(name)
        if not value.isprintable():
            raise ConfigurationError(f"{self._file.name}: the value of %{{{name}}} is not one line of text: {value!r}")
        return value
