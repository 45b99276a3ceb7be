"""Where a rig lives: ports that are told once, and logs that are found."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.rig import detached, place
from tests.rig.place import Place, PlaceError


def test_a_port_is_never_told_twice_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    told: set[tuple[str, int]] = set()
    monkeypatch.setattr(place, "_given", told)
    ports = [place.free_port("127.9.9.9") for _ in range(2000)]

    assert len(set(ports)) == len(ports)


def test_a_port_is_not_told_that_somebody_has_at_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.8.8.8", 0))
        taken = listener.getsockname()[1]
        monkeypatch.setattr(place, "_PORTS", range(taken, taken + 1))
        with pytest.raises(PlaceError, match="no free port is left"):
            place.free_port("127.9.9.9")


def test_the_ends_of_all_logs_that_have_anything_are_found(tmp_path: Path) -> None:
    for name in ("logs/etcd.log", "nodes/agent.log", "nodes/pods/acme/pbx.log", "plain-voice/asterisk.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one\ntwo\n", encoding="utf-8")
    (tmp_path / "nodes/pods/acme/silent.log").touch()

    assert Place(tmp_path, 16).log_ends(lines=1) == {
        "logs/etcd.log": "two",
        "nodes/agent.log": "two",
        "nodes/pods/acme/pbx.log": "two",
        "plain-voice/asterisk.log": "two",
    }


@pytest.mark.parametrize("name", ["", "a/b", "../b"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(detached.DetachedError, match="cannot be a rig's name"):
        detached.state_file(name)
