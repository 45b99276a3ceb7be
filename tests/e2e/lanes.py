"""The acceptance in two lanes at the same time, each on a rig of its own: most of both is waiting.

    python -m tests.e2e.lanes [--all] [PYTEST-ARGUMENT …]

The lane of the callers has the tests whose time is set by calls, and files in which every test is long; every other
file is in the other lane, so that none is forgotten. Tests that are marked `long` run with `--all` only. A lane's
output is shown whole when it has ended.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
WITH_CALLERS = (
    "test_attacks.py",
    "test_before_the_peak.py",
    "test_front_gates.py",
    "test_nothing_is_left.py",
    "test_probes.py",
    "test_voice.py",
)
LONG = ("test_adopting.py", "test_leader_deaths.py", "test_retirement_undone.py", "test_way_up.py")
"""They keep the lanes even when all tests run, and cost nothing when only the short ones do."""
ALL = "--all"
SHORT = ("-m", "not long")
NOTHING_SELECTED = 5
"""pytest's exit code when the arguments select no test."""
AT_MOST_S, ALL_AT_MOST_S = 4500, 10_000
"""Twice what a lane takes on two busy cores, the long tests included: one that hangs is ended, and what it had said is
shown."""


def lanes() -> tuple[list[str], list[str]]:
    """The test files of both lanes."""
    files = sorted(str(path) for path in FOLDER.glob("test_*.py"))
    with_callers = [file for file in files if Path(file).name in (*WITH_CALLERS, *LONG)]
    return with_callers, [file for file in files if file not in with_callers]


def main(arguments: Sequence[str]) -> int:
    """Run both lanes; 0 when each test that was selected passed."""
    # As Ctrl-C does: no lane is to outlive this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = tuple(one for one in arguments if one != ALL)
    at_most_s = ALL_AT_MOST_S if ALL in arguments else AT_MOST_S
    arguments = chosen if ALL in arguments else (*SHORT, *chosen)
    with tempfile.TemporaryDirectory() as folder:
        running = [
            (_start(files, arguments, output), output)
            for number, files in enumerate(lanes())
            for output in [Path(folder) / f"lane-{number}"]
        ]
        try:
            codes = [_finish(process, output, at_most_s) for process, output in running]
        finally:
            # Ctrl-C, or a lane that could not be shown: none goes on alone.
            for process, _ in running:
                process.terminate()
                process.wait()
    failed = [code for code in codes if code not in (0, NOTHING_SELECTED)]
    if failed:
        return 1
    return 0 if 0 in codes else NOTHING_SELECTED


def _start(files: Sequence[str], arguments: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.rig.enclosure", sys.executable, "-m", "pytest", *files, *arguments]
    with output.open("wb") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)


def _finish(process: subprocess.Popen[bytes], output: Path, at_most_s: float) -> int:
    try:
        process.wait(at_most_s)
    except subprocess.TimeoutExpired:
        process.kill()  # its enclosure takes everything along
        process.wait()
        print(f"a lane was ended after {at_most_s} s; what it had said until then:")
    print(output.read_text(encoding="utf-8", errors="replace"), flush=True)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
