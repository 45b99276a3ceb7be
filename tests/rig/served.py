"""The rig of `make rig`: everything that a person needs to try calltide by hand, until it is told to stop.

python -m tests.rig.served [--bare]      inside an enclosure; `python -m tests.rig up` starts it
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from tests.rig import detached
from tests.rig.furnishing import furnish
from tests.rig.place import CALLERS_PART, current
from tests.rig.programs import program
from tests.rig.rig import Rig

_BARE = """\
The rig stands in {folder} (a log per process in {folder}/logs, per container in {folder}/nodes).

  alias kubectl='{kubectl} --kubeconfig={kubeconfig}'
  Prometheus: {prometheus}

`make rig-down` stops it and leaves nothing behind.
"""


def main() -> int:
    """Serve a rig; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bare", action="store_true", help="only the cluster: no calltide, no proxies, no fleet")
    given = parser.parse_args()
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    rig = Rig(current())
    try:
        rig.start()
        instructions = _BARE.format(
            folder=rig.place.folder,
            kubectl=program("kubectl"),
            kubeconfig=rig.control_plane.kubeconfig,
            prometheus=rig.monitoring.url,
        )
        place = rig.place
        where = {"folder": str(place.folder), "block": place.block}
        if given.bare:
            detached.announce(instructions=instructions, **where)
        else:
            furnished = furnish(rig)
            detached.announce(
                instructions=instructions + furnished.instructions,
                proxies=furnished.proxies,
                callers=place.address(1, part=CALLERS_PART),
                **where,
            )
        told.wait()
    finally:
        rig.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
