"""Making the tree with Asterisk: what it finds out about the machine, and what it says where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig import voice_tree as made
from tests.rig.voice_tree import VoiceTreeError, mirror, voice_tree
from tools import debian_package


def test_the_mirror_is_the_machines_own_and_not_that_of_security_updates() -> None:
    lines = "stable-security http://m.example/debian-security/\nstable http://m.example/debian/\n"

    assert mirror(lines) == "http://m.example/debian/"


def test_updates_of_the_main_archive_are_no_mirror_either() -> None:
    with pytest.raises(VoiceTreeError, match="apt knows no Debian archive"):
        mirror("stable-updates http://m.example/debian/\n")


def test_without_root_it_says_that_root_is_needed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(VoiceTreeError, match="needs root"):
        voice_tree()


def test_without_mmdebstrap_it_says_why_it_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)

    def nowhere(name: str, package: str) -> Path:
        raise debian_package.PackageUnavailableError("no apt-get on this machine")

    monkeypatch.setattr(debian_package, "program", nowhere)
    with pytest.raises(VoiceTreeError, match=r"mmdebstrap.* cannot be had: no apt-get on this machine"):
        voice_tree()


@pytest.fixture
def makeable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with apt, and the program that makes trees, still to be written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(made, "_index_targets", lambda: "stable http://m.example/debian/")
    maker = tmp_path / "mmdebstrap"
    monkeypatch.setattr(debian_package, "program", lambda name, package: maker)
    return maker


def test_a_package_that_unstable_lacks_today_is_told_with_what_to_do(makeable: Path, tmp_path: Path) -> None:
    makeable.write_text("#!/bin/sh\necho 'E: Unable to locate package asterisk' >&2\nexit 25\n")
    makeable.chmod(0o755)

    with pytest.raises(VoiceTreeError, match=r"(?s)failed with 25.*Unable to locate.*Debian unstable moves.*try again"):
        voice_tree()
    assert [path.name for path in (tmp_path / "cache" / "calltide" / "rig").iterdir()] == [".voice-tree.lock"]


def test_a_tree_whose_programs_do_not_run_is_not_kept(
    makeable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makeable.write_text('#!/bin/sh\nfor part; do case "$part" in */tree) mkdir "$part";; esac; done\n')
    makeable.chmod(0o755)
    chroot = tmp_path / "bin" / "chroot"
    chroot.parent.mkdir()
    chroot.write_text("#!/bin/sh\necho 'libssl.so.9: cannot open shared object' >&2\nexit 127\n")
    chroot.chmod(0o755)
    monkeypatch.setenv("PATH", str(chroot.parent), prepend=":")

    with pytest.raises(VoiceTreeError, match=r"asterisk -V' ended with 127 and said 'libssl\.so\.9"):
        voice_tree()
    assert [path.name for path in (tmp_path / "cache" / "calltide" / "rig").iterdir()] == [".voice-tree.lock"]


def test_a_tree_that_is_there_is_taken_as_it_is(
    makeable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makeable.write_text('#!/bin/sh\nfor part; do case "$part" in */tree) mkdir "$part";; esac; done\n')
    makeable.chmod(0o755)
    monkeypatch.setattr(made, "versions", lambda tree: {})
    first = voice_tree()
    makeable.unlink()

    assert voice_tree() == first
    assert first.is_dir()
