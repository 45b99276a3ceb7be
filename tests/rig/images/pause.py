"""The image `pause`: the lightest real process, for tests that need many pods and no work."""

from __future__ import annotations

from pathlib import Path

from tests.rig.images.image import Image

# One process and no program beside it. Process 1 of a container sees SIGTERM only if it handles it; the read never
# ends, since the shell itself holds the pipe open for writing.
_PAUSE = 'trap "exit 0" TERM; mkfifo /run/pause; read -r _ <>/run/pause'

PAUSE = Image("pause", tree=lambda: Path("/"), entrypoint=("/bin/sh", "-c", _PAUSE))
