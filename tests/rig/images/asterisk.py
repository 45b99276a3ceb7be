"""The image `asterisk`: a real PBX that a pod's environment configures.

What a caller may dial, and the gate, are in tests/rig/voice/asterisk/extensions.conf.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.rig.images.image import Container, Image
from tests.rig.voice.configuration import fill_folder
from tests.rig.voice_tree import voice_tree

FILES = Path(__file__).parents[1] / "voice" / "asterisk"
GATE = Path(__file__).parents[3] / "deploy" / "asterisk" / "calltide-gate.conf"

DEFAULTS: Mapping[str, str] = {
    "ASTERISK_MAXCALLS": "0",
    "ARI_USER": "calltide",
    "ARI_PASSWORD": "rig",
    "AMI_USER": "calltide",
    "AMI_SECRET": "rig",
    "TENANT_ID": "rig",
    "IVR_SECONDS": "5",
    "CALLTIDE_GATE": "open",
    "CALLTIDE_AGENT": "Local/agent@legs",
    "TRUSTED_PROXIES": "127.0.0.254",
    "SESSION_TIMERS": "no",
}
"""The environment variables that a pod may set, with what they are where it sets none."""


def values(container: Container) -> dict[str, str]:
    """What the configuration files of this container are filled in with."""
    chosen = {name: container.environment.get(name, default) for name, default in DEFAULTS.items()}
    return {**chosen, "POD_IP": container.pod_ip, "POD_NAME": container.pod["metadata"]["name"]}


def _prepare(container: Container) -> None:
    folder = container.root / "etc" / "asterisk"
    fill_folder(FILES, folder, values(container))
    shutil.copy(GATE, folder)
    (container.root / "var" / "spool" / "asterisk" / "pending").mkdir(parents=True, exist_ok=True)
    told = container.root / "usr" / "share" / "asterisk" / "static-http" / "pending.json"
    told.parent.mkdir(parents=True, exist_ok=True)
    told.write_text("[]", encoding="utf-8")


# In the foreground, so that it is the container's process 1 and gets its SIGTERM.
ASTERISK = Image(name="asterisk", tree=voice_tree, entrypoint=("asterisk", "-f"), prepare=_prepare)
