"""Make the programs of a Debian package available without installing anything.

Tests and benchmarks want real servers. A package is fetched with the machine's own apt configuration and unpacked
into a cache directory outside the checkout, keyed by its version: no root is needed where apt's lists exist, no
service is started, and nothing of the system changes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


class PackageUnavailableError(Exception):
    """The package cannot be had here; the text says why and what to do."""


def program(name: str, package: str) -> Path:
    """The program's path: from PATH, from the cache, or from the package, unpacked now.

    Raises:
        PackageUnavailableError: there is no such program and no way to fetch it.
    """
    if installed := shutil.which(name):
        return Path(installed)
    path = unpacked(package) / "usr" / "bin" / name
    if not path.is_file():
        raise PackageUnavailableError(f"package {package} has no program {name}")
    return path


def unpacked(package: str) -> Path:
    """Directory with the package's files: the newest one in the cache, or one made now.

    Raises:
        PackageUnavailableError: it cannot be fetched or unpacked.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calltide"
    known = sorted(cache.glob(f"{package}_*"), key=lambda path: path.stat().st_mtime)
    if known:
        return known[-1]
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise PackageUnavailableError(f"no {tool} on this machine; install {package} so that it is on PATH")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as folder:
        archive = _download(package, Path(folder))
        files = Path(folder) / "files"
        _run(["dpkg-deb", "-x", str(archive), str(files)], Path(folder))
        target = cache / archive.stem
        try:
            # Renamed when complete: a run that is cut off leaves no half package, and of two runs one wins.
            files.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


def _download(package: str, folder: Path) -> Path:
    try:
        _run(["apt-get", "download", package], folder)
    except PackageUnavailableError:
        # A fresh container image has no lists yet; only root may fetch them.
        if os.geteuid() != 0:
            raise
        _run(["apt-get", "update", "-q"], folder)
        _run(["apt-get", "download", package], folder)
    return next(folder.glob(f"{package}_*.deb"))


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PackageUnavailableError(
            f"{' '.join(command)} failed: {why}; run 'apt-get update' as root, or install the package yourself"
        )


if __name__ == "__main__":
    try:
        for wanted in sys.argv[1:]:
            print(unpacked(wanted))
    except PackageUnavailableError as error:
        sys.exit(str(error))
