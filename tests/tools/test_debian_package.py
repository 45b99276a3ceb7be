from __future__ import annotations

from pathlib import Path

import pytest

from tools.debian_package import PackageUnavailableError, program, unpacked

UNPACK = 'mkdir -p "$3/usr/bin" && echo served > "$3/usr/bin/tool"'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine whose apt-get and dpkg-deb are these scripts; with the folder of its cache."""

    def make(**scripts: str) -> Path:
        programs = tmp_path / "programs"
        programs.mkdir()
        for name, script in scripts.items():
            path = programs / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
            path.chmod(0o755)
        monkeypatch.setenv("PATH", str(programs))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return tmp_path / "cache" / "calltide"

    return make


def test_a_program_on_the_path_is_taken(machine) -> None:
    cache = machine(tool="")
    assert program("tool", "package").name == "tool"
    assert not cache.exists()


def test_a_package_is_fetched_once_and_kept_by_version(machine) -> None:
    cache = machine(apt_get='touch "$2_1.2-3_amd64.deb"', dpkg_deb=UNPACK)
    assert program("tool", "package").read_text() == "served\n"
    assert [path.name for path in cache.iterdir()] == ["package_1.2-3_amd64"]
    (cache.parents[1] / "programs" / "apt-get").unlink()
    assert program("tool", "package") == cache / "package_1.2-3_amd64" / "usr" / "bin" / "tool"


def test_a_failed_download_says_what_to_do_and_leaves_nothing(machine) -> None:
    cache = machine(apt_get="echo 'E: Unable to locate package' >&2; exit 100", dpkg_deb=UNPACK)
    with pytest.raises(PackageUnavailableError, match="Unable to locate package; run 'apt-get update' as root"):
        unpacked("package")
    assert list(cache.iterdir()) == []


def test_a_machine_without_apt_is_told(machine) -> None:
    machine()
    with pytest.raises(PackageUnavailableError, match="no apt-get on this machine; install package"):
        unpacked("package")


def test_a_package_without_the_program_is_told(machine) -> None:
    machine(apt_get='touch "$2_1_amd64.deb"', dpkg_deb=UNPACK)
    with pytest.raises(PackageUnavailableError, match="package has no program other"):
        program("other", "package")
