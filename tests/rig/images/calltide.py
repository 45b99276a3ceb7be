"""The image `calltide`: the product from this checkout, as `deploy/` runs it.

There is nothing to build: the container sees the machine's own file system, with the checkout and the interpreter
mounted into it, and its configuration comes from the pod's ConfigMaps.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.rig.images.image import Image

_CHECKOUT = Path(__file__).parents[3]
_INTERPRETERS = (Path(sys.prefix), Path(sys.base_prefix))

CALLTIDE = Image(
    name="calltide",
    tree=lambda: Path("/"),
    entrypoint=(str(Path(sys.executable).with_name("calltide")), "serve", "--config", "/etc/calltide/calltide.yaml"),
    # One that lies in the other is there already.
    mounts=(_CHECKOUT, *(path for path in dict.fromkeys(_INTERPRETERS) if not path.is_relative_to(_CHECKOUT))),
)
