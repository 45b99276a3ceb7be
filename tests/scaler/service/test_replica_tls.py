"""Whom a follower copies from, and who may copy, by certificates; and certificates that are renewed meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scaler.service.copies import CopyError
from scaler.service.copy_server import CopyServer
from scaler.service.settings import ReplicaTls
from tests.scaler.service.replica_scene import HOST, Scene, Served, answers, copy_of
from tests.servers.certificates import Authority


def tls_of(folder: Path, name: str, authority: Authority, trusted: Authority, host: str = HOST) -> ReplicaTls:
    leaf = authority.issue(host)
    files = {"crt": leaf.certificate, "key": leaf.key, "ca": trusted.certificate}
    for ending, content in files.items():
        (folder / f"{name}.{ending}").write_bytes(content)
    return ReplicaTls(
        certificate_file=folder / f"{name}.crt",
        key_file=folder / f"{name}.key",
        ca_file=folder / f"{name}.ca",
        server_name=HOST,
    )


def test_with_tls_only_a_replica_is_copied_from_and_only_a_replica_may_copy(tmp_path):
    ours, theirs = Authority("ours"), Authority("theirs")
    for name in ("good", "forged", "other host", "stranger"):
        (tmp_path / name).mkdir()
    good = tls_of(tmp_path, "good", ours, ours)
    scene = Scene(tmp_path / "good", good)
    scene.copies()
    assert scene.told() == 11
    wrong = {
        "forged": (good, tls_of(tmp_path, "forged", theirs, ours)),
        "other host": (good, tls_of(tmp_path, "other", ours, ours, "elsewhere.svc")),
        "stranger": (tls_of(tmp_path, "stranger", theirs, ours), good),
    }
    for name, (follower, server) in wrong.items():
        scene = Scene(tmp_path / name, follower, server)
        with pytest.raises(CopyError, match="gave no copy"):
            scene.copies()
        assert not (scene.state / "answers.book").exists()


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path):
    (tmp_path / "scene").mkdir()
    ours, next_one = Authority("ours"), Authority("next")
    server = tls_of(tmp_path, "server", ours, ours)
    scene = Scene(tmp_path / "scene", tls_of(tmp_path, "follower", ours, ours), server)

    async def run() -> None:
        copy_server = CopyServer(scene.server_settings, lambda: scene.offered)
        copy_server.start()
        try:
            await scene.replica.copy()
            (tmp_path / "follower.ca").write_bytes(ours.certificate + next_one.certificate)
            tls_of(tmp_path, "server", next_one, ours)
            copy_server.renew()
            scene.offered = Served(copy_of(answers(12, number=2)), '"2"')
            await scene.replica.copy()
            assert scene.told() == 12
            (tmp_path / "follower.ca").write_bytes(ours.certificate)
            with pytest.raises(CopyError):
                await scene.replica.copy()
            (tmp_path / "server.key").write_text("half a key")
            copy_server.renew()
            (tmp_path / "follower.ca").write_bytes(next_one.certificate)
            await scene.replica.copy()
        finally:
            await copy_server.stop()

    asyncio.run(run())


def test_a_renewed_authority_is_trusted_without_a_restart(tmp_path):
    (tmp_path / "scene").mkdir()
    ours, next_one = Authority("ours"), Authority("next")
    server = tls_of(tmp_path, "server", ours, ours)
    scene = Scene(tmp_path / "scene", tls_of(tmp_path, "follower", next_one, ours), server)

    async def run() -> None:
        copy_server = CopyServer(scene.server_settings, lambda: scene.offered)
        copy_server.start()
        try:
            with pytest.raises(CopyError):
                await scene.replica.copy()
            (tmp_path / "server.ca").write_bytes(next_one.certificate)
            copy_server.renew()
            await scene.replica.copy()
        finally:
            await copy_server.stop()

    asyncio.run(run())
    assert scene.told() == 11
