"""What the node agent is told, as a file that its owner writes: an agent reads nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """Files of a client certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One Node."""

    name: str
    identity: Identity
    """CN=system:node:NAME, O=system:nodes: the API server lets a node see and write only what is its own."""
    address: str
    """The node's own address, shown as hostIP of its pods."""
    pod_network: IPv4Network
    """Each pod gets an address of its own from it; networks of nodes must not overlap."""
    labels: Mapping[str, str] = field(default_factory=dict)
    pods: int = 1100
    """How many pods the scheduler may put here."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One agent with its nodes."""

    api_server: str
    """URL."""
    authority: Path
    """Who signs the API server's certificate."""
    nodes: tuple[NodeSettings, ...]
    dns: Identity
    """May list and watch Services and Pods everywhere (dns.py has the rules)."""
    folder: Path
    """For logs, volumes and root file systems of pods."""
    hosts: Path
    """The rig's hosts file: the cluster's DNS, also mounted at /etc/hosts of every container."""
    control_address: str
    control_port: int

    @property
    def control_url(self) -> str:
        """Where the agent answers its owner."""
        return f"http://{self.control_address}:{self.control_port}"

    def to_json(self) -> str:
        """As a file."""
        return json.dumps(asdict(self), default=str, indent=1)

    @classmethod
    def from_json(cls, text: str) -> AgentSettings:
        """From a file's text."""
        values = json.loads(text)
        return cls(
            **{
                **values,
                **{name: Path(values[name]) for name in ("authority", "folder", "hosts")},
                "nodes": tuple(_node(node) for node in values["nodes"]),
                "dns": _identity(values["dns"]),
            }
        )


def _identity(values: Mapping[str, str]) -> Identity:
    return Identity(Path(values["certificate"]), Path(values["key"]))


def _node(values: Mapping[str, Any]) -> NodeSettings:
    typed = {"identity": _identity(values["identity"]), "pod_network": IPv4Network(values["pod_network"])}
    return NodeSettings(**{**values, **typed})
