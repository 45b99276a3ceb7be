"""What a container image is on the rig: a lower file tree, an entry point, and what to write before the start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Container:
    """What an image's `prepare` may look at."""

    root: Path
    """The container's root file system, mounted and writable."""
    pod: Mapping[str, Any]
    """The Pod as the API server has it."""
    spec: Mapping[str, Any]
    """This container's entry in spec.containers."""
    pod_ip: str
    environment: Mapping[str, str]


def _nothing(_container: Container) -> None:
    """Nothing to prepare."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image by its name, as in `image: asterisk` (a tag or a registry's prefix is cut off)."""

    name: str
    tree: Callable[[], Path] | None
    """The lower directory of the root file system; None for an image that runs no process."""
    entrypoint: tuple[str, ...]
    """Used where the pod gives no `command`."""
    prepare: Callable[[Container], None] = _nothing
    mounts: tuple[Path, ...] = ()
    """Folders of the machine that are bound read-only at the same path."""
    serve: Callable[[Container], Awaitable[asyncio.Server]] | None = None
    """For an image that runs no process: a server inside the node agent, at the pod's address."""
    start_delay_s: float = 0.0
    """For an image that runs no process: how long it takes to start."""
