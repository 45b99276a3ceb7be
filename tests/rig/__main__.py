"""The rig's commands; docs/rig.md has them with examples.

python -m tests.rig build|up|how|call|down
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.rig import detached, enclosure
from tests.rig.place import PlaceError
from tests.rig.programs import ProgramError, build_all
from tests.rig.voice.callers import Callers, CallersError
from tests.rig.voice.plan import ANSWERED, CallPlan, PlanError, Segment
from tests.rig.voice_tree import VoiceTreeError

FAULTS = (
    *(enclosure.EnclosureError, PlaceError, ProgramError, VoiceTreeError),
    *(PlanError, CallersError, detached.DetachedError),
)


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
    call = commands.add_parser("call", help="place calls through its proxies, and print what became of each")
    call.add_argument("--fleet", required=True)
    call.add_argument("--extension", default=ANSWERED, help="what they dial")
    call.add_argument("--rate", type=float, default=1.0, help="calls per second")
    call.add_argument("--hold", type=float, default=30.0, help="seconds that each is held")
    call.add_argument("--for", dest="length_s", type=float, default=60.0, help="seconds for which calls are placed")
    given = parser.parse_args()
    try:
        return _run(given)
    except FAULTS as error:
        print(error, file=sys.stderr)
        return 1


def _run(given: argparse.Namespace) -> int:
    if given.command == "build":
        build_all()
    elif given.command == "up":
        enclosure.check()  # before anything is built for a rig that cannot be
        build_all()
        print(detached.up(given.name, [sys.executable, "-m", "tests.rig.served", *(["--bare"] if given.bare else [])]))
    elif given.command == "how":
        print(detached.instructions(given.name))
    elif given.command == "call":
        segment = Segment(given.fleet, 0, given.length_s, given.rate, given.hold, given.extension)
        print(_callers(given.name).start(CallPlan((segment,))).wait().table())
    else:
        stopped = detached.down(given.name)
        print(f"rig {given.name!r} is stopped" if stopped else f"no rig {given.name!r} runs ({detached.running()})")
    return 0


def _callers(name: str) -> Callers:
    facts = detached.facts(name)
    if "proxies" not in facts:
        raise detached.DetachedError(
            f"rig {name!r} has no proxies: it does not run, is starting, or is a bare one ({detached.running()}; "
            "'export RIG=NAME' means one of them)"
        )
    return Callers(facts["proxies"], facts["callers"], Path(facts["folder"]) / "calls")


if __name__ == "__main__":
    sys.exit(main())
