"""The Makefile: each target is there once, is told by `make help`, and none is a file that happens to exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_target_has_one_recipe_and_help_tells_of_all() -> None:
    # Under `make test` this make is a make's child, and would tell of the folder that it enters.
    command = ["make", "--no-print-directory", "help"]
    read = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert read.stderr == "", "make warns of a recipe that another one replaces"
    told = {line.split()[0] for line in read.stdout.splitlines()}
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert told == set(phony[1].split())
