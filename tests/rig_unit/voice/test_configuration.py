"""Configuration files with open places, and that the rig's own have no place that nobody fills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.images import asterisk, kamailio
from tests.rig.images.image import Container
from tests.rig.voice.configuration import ConfigurationError, fill_folder, filled


def container(root: Path, **environment: str) -> Container:
    return Container(root, {"metadata": {"name": "pbx-1"}}, {}, "127.9.16.1", environment)


def test_only_a_name_in_braces_is_a_place(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text("%{POD_IP} ${EXTEN} %d %%F %{lower}\n")

    assert filled(file, {"POD_IP": "127.9.16.1"}) == "127.9.16.1 ${EXTEN} %d %F %{lower}\n"


def test_a_place_without_a_value_names_the_file_the_place_and_what_there_is(tmp_path: Path) -> None:
    file = tmp_path / "http.conf"
    file.write_text("bindaddr = %{POD_IP}\n")

    with pytest.raises(ConfigurationError, match=r"http\.conf: no value for %\{POD_IP\}; known are POD_NAME"):
        filled(file, {"POD_NAME": "pbx-1"})


def test_a_value_of_two_lines_does_not_become_configuration(tmp_path: Path) -> None:
    file = tmp_path / "ari.conf"
    file.write_text("password = %{ARI_PASSWORD}\n")

    with pytest.raises(ConfigurationError, match=r"ari\.conf: the value of %\{ARI_PASSWORD\} is not one line"):
        filled(file, {"ARI_PASSWORD": "x\nread_only = yes"})


def test_the_packages_own_samples_are_gone(tmp_path: Path) -> None:
    source, target = tmp_path / "ours", tmp_path / "etc"
    source.mkdir()
    target.mkdir()
    (source / "http.conf").write_text("ours\n")
    (target / "iax.conf").write_text("sample\n")

    fill_folder(source, target, {})

    assert [file.name for file in target.iterdir()] == ["http.conf"]


def test_a_pbx_is_configured_by_its_address_its_name_and_its_environment(tmp_path: Path) -> None:
    asterisk.ASTERISK.prepare(container(tmp_path, ASTERISK_MAXCALLS="5", TENANT_ID="acme"))

    etc = tmp_path / "etc" / "asterisk"
    assert "bind = 127.9.16.1:5060" in (etc / "pjsip.conf").read_text()
    assert "tenantid = acme" in (etc / "pjsip.conf").read_text()
    assert "maxcalls = 5" in (etc / "asterisk.conf").read_text()
    assert "systemname = pbx-1" in (etc / "asterisk.conf").read_text()
    assert "CALLTIDE_GATE = open" in (etc / "extensions.conf").read_text()


def test_every_variable_that_a_pbx_takes_stands_in_some_file() -> None:
    text = "".join(file.read_text() for file in asterisk.FILES.iterdir())

    assert [name for name in asterisk.DEFAULTS if f"%{{{name}}}" not in text] == []


def test_a_proxy_listens_at_its_pods_address_only(tmp_path: Path) -> None:
    kamailio.KAMAILIO.prepare(container(tmp_path))

    written = (tmp_path / "etc" / "kamailio" / "kamailio.cfg").read_text().splitlines()
    assert [line for line in written if line.startswith("listen=")] == [
        "listen=udp:127.9.16.1:5060",
        "listen=tcp:127.9.16.1:8090",
    ]
