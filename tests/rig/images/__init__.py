"""The images that the rig's containers are made of, by name: there is no registry, and none is pulled."""

from __future__ import annotations

from collections.abc import Mapping

from tests.rig.images.asterisk import ASTERISK
from tests.rig.images.calltide import CALLTIDE
from tests.rig.images.image import Image
from tests.rig.images.kamailio import DISPATCHER_FEEDER, KAMAILIO
from tests.rig.images.pause import PAUSE
from tests.rig.images.pbx_simulator import PBX_SIMULATOR
from tests.rig.images.status_only import STATUS_ONLY

IMAGES: Mapping[str, Image] = {
    image.name: image for image in (ASTERISK, CALLTIDE, DISPATCHER_FEEDER, KAMAILIO, PAUSE, PBX_SIMULATOR, STATUS_ONLY)
}
