"""Root file systems of containers: an overlay over an image's tree, and what is mounted inside it.

What a container sees is mounted in its own mount namespace, from a table in the format of fstab, so that its mounts end
with its last process. The agent itself mounts the overlay only for the moment in which it prepares it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2
_LINKS_AT_MOST = 40


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the machine that is seen at a path of the container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """The root file system of one container that starts: an overlay below one folder."""

    folder: Path
    lower: Path

    @property
    def merged(self) -> Path:
        """Where it is mounted."""
        return self.folder / "root"

    def make(self) -> None:
        """Make its empty folders."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """The root file system, mounted for the agent."""
        _checked(_LIBC.mount(b"overlay", os.fsencode(self.merged), b"overlay", 0, self._options.encode()), self.merged)
        try:
            yield self.merged
        finally:
            _checked(_LIBC.umount2(os.fsencode(self.merged), _MNT_DETACH), self.merged)

    def table(self, binds: tuple[Bind, ...]) -> str:
        """What the container mounts, as fstab lines. Call it with the root mounted: links are followed inside it."""
        rows = [
            ("overlay", self.merged, "overlay", self._options),
            ("proc", self.merged / "proc", "proc", "nosuid,nodev,noexec"),
            ("/dev", self.merged / "dev", "none", "rbind"),
        ]
        # Outer ones first, whatever their order: one that is mounted later would hide what it has below it.
        ordered = sorted(binds, key=lambda bind: PurePosixPath(bind.target).parts)
        for bind in ordered:
            folder = bind.source.is_dir()
            target = mount_point(self.merged, bind.target, folder=folder)
            for outer in ordered:
                if bind is not outer and PurePosixPath(bind.target).is_relative_to(outer.target):
                    within = str(PurePosixPath(bind.target).relative_to(outer.target))
                    mount_point(outer.source, within, folder=folder)
            rows.append((str(bind.source), target, "none", "bind,ro" if bind.read_only else "bind"))
        return "".join(
            f"{_escaped(source)} {_escaped(target)} {kind} {options} 0 0\n" for source, target, kind, options in rows
        )

    @property
    def _options(self) -> str:
        return f"lowerdir={self.lower},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"


def mount_point(root: Path, path: str, *, folder: bool) -> Path:
    """The place of a path inside a root, made if it is not there. A link inside the root means a place inside it."""
    target = inside(root, path)
    if folder:
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return target


def inside(root: Path, path: str) -> Path:
    """Where a container's path is on the machine, with links followed as the container would follow them.

    Raises:
        OSError: the links go round.
    """
    left, found, links = path.split("/"), root, 0
    while left:
        part = left.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            found = found if found == root else found.parent
            continue
        found /= part
        if found.is_symlink():
            links += 1
            if links > _LINKS_AT_MOST:
                raise OSError(f"{path} in {root}: the links go round")
            target = str(found.readlink())
            found = root if target.startswith("/") else found.parent
            left = target.split("/") + left
    return found


def _escaped(path: str | Path) -> str:
    return str(path).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("#", "\\043")


def _checked(result: int, path: Path) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
