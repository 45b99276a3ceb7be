"""A benchmark's figures as a section of a Markdown page, so that one command refreshes what is written about them.

A section lies between two comments that name its benchmark. What is written by hand around it stays.
"""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

_PATHS = {"--json", "--markdown"}
"""Options that say where figures go, and change none."""


def command(bench: str, argv: Sequence[str], directory: Path) -> str:
    """What was run, without the paths of the machine that ran it."""
    kept, skipped = [], False
    for argument in argv:
        if not skipped and argument not in _PATHS:
            kept.append("DIRECTORY" if argument == str(directory) else shlex.quote(argument))
        skipped = argument in _PATHS
    return " ".join(["python -m", bench, *kept])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int) -> str:
    """A Markdown table; the first `texts` columns stand left, figures right."""
    rules = ["---" if index < texts else "---:" for index in range(len(columns))]
    lines = [columns, rules, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """What the figures were measured on, in a line."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def write_section(page: Path, bench: str, ran: str, parts: Sequence[str]) -> None:
    """Put the parts under the benchmark's command, date and machine, in place of what the section held."""
    begin, end = f"<!-- {bench}: written by --markdown -->", f"<!-- end of {bench} -->"
    told = f"`{ran}`, {datetime.now(UTC):%Y-%m-%d}, on {machine()}."
    section = "\n\n".join([begin, told, *parts, end])
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, found, rest = text.partition(begin)
    if found:
        _, _, after = rest.partition(end)
        text = before + section + after
    else:
        text = f"{text.rstrip()}\n\n{section}\n".lstrip()
    page.write_text(text, encoding="utf-8")
