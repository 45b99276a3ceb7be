"""A file tree of Debian unstable with Asterisk, Kamailio and SIPp, made once per machine into the cache.

Debian stable has no Asterisk. Unstable has one whose libraries are newer than the machine's, so it lives in a tree of
its own, which containers use as the lower, never written layer of their root file system. Unstable moves: nothing is
pinned, the tree is tried when it is made, and what is in the cache stays until somebody takes it away.

    python -m tests.rig.voice_tree
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.rig.cache import cache, locked
from tools import debian_package

PACKAGES = ("asterisk", "asterisk-config", "kamailio", "sip-tester")
SUITE = "unstable"
VERSION_COMMANDS = (("asterisk", "-V"), ("kamailio", "-v"), ("sipp", "-v"))
_OPTIONS = (
    "--variant=minbase",
    f"--include={','.join(PACKAGES)}",
    '--aptopt=APT::Install-Recommends "false"',
    # A mirror that a machine reaches only now and then may be older than its own file says it may.
    '--aptopt=Acquire::Check-Valid-Until "false"',
)


class VoiceTreeError(Exception):
    """The tree cannot be made here; the text says why and what to do."""


def voice_tree() -> Path:
    """The tree, made now if it is not in the cache (a minute or two, half a gigabyte). Never write into it.

    Raises:
        VoiceTreeError: no root, no apt, or unstable has not what is needed just now.
    """
    target = _target()
    if target.is_dir():
        return target
    if os.geteuid() != 0:
        raise VoiceTreeError("the tree with Asterisk needs root to be made (chroot, device files); run as root once")
    with locked("voice-tree"):
        if not target.is_dir():
            _make(target)
    return target


def versions(tree: Path) -> dict[str, str]:
    """Program → what it says of its version, asked inside the tree.

    Raises:
        VoiceTreeError: one of them does not run.
    """
    return {program: _version(tree, program, option) for program, option in VERSION_COMMANDS}


def mirror(index_targets: str) -> str:
    """The machine's own Debian mirror among the lines `CODENAME REPO_URI` of `apt-get indextargets`.

    Raises:
        VoiceTreeError: apt knows none.
    """
    for line in index_targets.splitlines():
        codename, _, uri = line.strip().partition(" ")
        # Updates and security have other archives, which have no unstable.
        if "-" not in codename and uri.rstrip("/").endswith("/debian"):
            return uri.rstrip("/") + "/"
    raise VoiceTreeError(
        "apt knows no Debian archive on this machine, so there is nowhere to take Asterisk from; on Debian, "
        "run 'apt-get update' as root; elsewhere, the rig's voice part cannot run"
    )


def _target() -> Path:
    return cache() / f"voice-tree-{hashlib.sha256(repr((SUITE, _OPTIONS)).encode()).hexdigest()[:16]}"


def _make(target: Path) -> None:
    maker, uri = _mmdebstrap(), mirror(_index_targets())
    began_s = time.monotonic()
    _say(f"making a tree of Debian {SUITE} with {', '.join(PACKAGES)} …")
    # Made beside its place and renamed when complete: a run that is cut off leaves no half tree that looks whole.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-voice-tree-") as folder:
        tree = Path(folder) / "tree"
        _run_mmdebstrap([str(maker), *_OPTIONS, SUITE, str(tree), uri])
        for version in versions(tree).values():
            _say(f"  {version}")
        tree.rename(target)
    _say(f"made {target} in {time.monotonic() - began_s:.0f} s")


def _mmdebstrap() -> Path:
    try:
        return debian_package.program("mmdebstrap", "mmdebstrap")
    except debian_package.PackageUnavailableError as error:
        raise VoiceTreeError(f"mmdebstrap, which makes the tree with Asterisk, cannot be had: {error}") from error


def _index_targets() -> str:
    if shutil.which("apt-get") is None:
        raise VoiceTreeError("there is no apt-get here; the tree with Asterisk is made of Debian packages")
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise VoiceTreeError(f"'apt-get indextargets' failed: {done.stderr.strip()}")
    return done.stdout


def _run_mmdebstrap(command: list[str]) -> None:
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if line.startswith("I: "):
                _say(f"  {line[3:].rstrip()}")
    if process.returncode != 0:
        end = "\n".join(lines[-20:])
        raise VoiceTreeError(
            f"mmdebstrap failed with {process.returncode}:\n{end}\n"
            f"Debian {SUITE} moves: where a package is missing or cannot be installed just now, try again tomorrow, or "
            f"copy {_target()} from a machine that has it"
        )


def _version(tree: Path, program: str, option: str) -> str:
    try:
        done = subprocess.run(
            ["chroot", str(tree), program, option], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VoiceTreeError(f"{tree}: {program} {option} does not run: {error}") from error
    # Not by its exit code: SIPp ends with one of its own after saying its version.
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if program in line.lower()]
    if not said:
        raise VoiceTreeError(
            f"{tree}: '{program} {option}' ended with {done.returncode} and said {done.stderr or done.stdout!r}; "
            f"Debian {SUITE} has a broken {program} just now; remove the tree and try again tomorrow"
        )
    return said[0]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(voice_tree())
    except VoiceTreeError as error:
        sys.exit(str(error))
