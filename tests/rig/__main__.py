"""The rig's commands; docs/rig.md has them with examples.

python -m tests.rig build|up|down|how|call …
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.rig import detached
from tests.rig.enclosure import EnclosureError
from tests.rig.place import PlaceError
from tests.rig.programs import ProgramError, build_all


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig", description=__doc__)
    parser.add_argument("--name", default=os.environ.get("RIG", "rig"), help="which rig; several may run side by side")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build what the cache lacks")
    up = commands.add_parser("up", help="start a rig that goes on by itself, and say how to use it")
    up.add_argument("--bare", action="store_true", help="only the cluster: no calltide, no proxies, no fleet")
    commands.add_parser("down", help="stop it; nothing of it is left")
    commands.add_parser("how", help="say again how to use it")
    given = parser.parse_args()
    try:
        return _run(given)
    except (EnclosureError, PlaceError, ProgramError, detached.DetachedError) as error:
        print(error, file=sys.stderr)
        return 1


def _run(given: argparse.Namespace) -> int:
    if given.command == "build":
        build_all()
    elif given.command == "up":
        build_all()
        print(detached.up(given.name, [sys.executable, "-m", "tests.rig.served", *(["--bare"] if given.bare else [])]))
    elif given.command == "how":
        print(detached.instructions(given.name))
    else:
        print("stopped" if detached.down(given.name) else f"no rig {given.name!r} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
