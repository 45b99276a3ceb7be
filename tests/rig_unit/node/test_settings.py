"""Settings survive the file that carries them to the agent."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from tests.rig.node.settings import AgentSettings, Identity, NodeSettings

SETTINGS = AgentSettings(
    api_server="https://127.16.0.1:6443",
    authority=Path("/rig/ca.crt"),
    nodes=(
        NodeSettings(
            "node-1",
            Identity(Path("/rig/node-1.crt"), Path("/rig/node-1.key")),
            "127.16.2.1",
            IPv4Network("127.16.16.0/21"),
            {"zone": "a"},
            pods=20,
        ),
    ),
    dns=Identity(Path("/rig/dns.crt"), Path("/rig/dns.key")),
    folder=Path("/rig/nodes"),
    hosts=Path("/rig/hosts"),
    control_address="127.16.0.1",
    control_port=4321,
)


def test_settings_are_the_same_after_a_round_trip():
    assert AgentSettings.from_json(SETTINGS.to_json()) == SETTINGS
