"""Policies as the tests write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from scaler.errors import PolicyError, Problem
from scaler.policy.book import PolicyBook
from scaler.policy.compiling import compile_texts
from scaler.policy.directory import PolicyText

COMPLETE = """\
  history: {channels: channels_in_use}
  capacity: {channelsPerPod: 100}
"""


def policy(name: str, spec: str = COMPLETE, rest: str = "") -> str:
    """A document whose `spec` begins on line 5."""
    return f"apiVersion: calltide.io/v1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n{spec}{dedent(rest)}"


def book(*texts: str) -> PolicyBook:
    """The book of files named a.yaml, b.yaml, …"""
    return compile_texts([PolicyText(f"{chr(97 + n)}.yaml", text) for n, text in enumerate(texts)])


def problems(*texts: str) -> tuple[Problem, ...]:
    """What is wrong with files named a.yaml, b.yaml, …; nothing when they are valid."""
    try:
        book(*texts)
    except PolicyError as error:
        return error.problems
    return ()


def sentences(*texts: str) -> list[str]:
    """The same as a person reads it."""
    return [str(problem) for problem in problems(*texts)]


def only(*texts: str) -> str:
    """The one sentence that is wrong."""
    found = sentences(*texts)
    assert len(found) == 1, found
    return found[0]


def write(directory: Path, files: Mapping[str, str]) -> Path:
    """Replace the directory's files by these."""
    directory.mkdir(exist_ok=True)
    for old in directory.iterdir():
        old.unlink()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory
