"""The images `kamailio` and `dispatcher-feeder`: the two containers of a proxy pod.

The proxy knows no pods; the feeder beside it, at the same address, tells it (tests/rig/voice/feeder.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.rig.images.calltide import CALLTIDE
from tests.rig.images.image import Container, Image
from tests.rig.voice.configuration import fill_folder
from tests.rig.voice_tree import voice_tree

FILES = Path(__file__).parents[1] / "voice" / "kamailio"


def _prepare(container: Container) -> None:
    fill_folder(FILES, container.root / "etc" / "kamailio", {"POD_IP": container.pod_ip})
    (container.root / "run" / "kamailio").mkdir(parents=True, exist_ok=True)


KAMAILIO = Image(
    name="kamailio",
    tree=voice_tree,
    # In the foreground as process 1; few and small memory pools, as one rig has two of these.
    entrypoint=("kamailio", "-DD", "-E", "-m", "64", "-M", "8", "-f", "/etc/kamailio/kamailio.cfg"),
    prepare=_prepare,
)

_CHECKOUT = Path(__file__).parents[3]

DISPATCHER_FEEDER = Image(
    name="dispatcher-feeder",
    tree=lambda: Path("/"),
    # From the checkout, which is where its modules are found.
    entrypoint=("env", f"--chdir={_CHECKOUT}", sys.executable, "-m", "tests.rig.voice.feeder"),
    mounts=CALLTIDE.mounts,
)
