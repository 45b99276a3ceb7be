"""One rig: control plane, KEDA, Prometheus and nodes, started and stopped together, inside an enclosure.

What runs on its nodes is not its business: tests and the rig of `make rig` apply that through the API server.
"""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import IPv4Network

from tests.rig.control_plane import ControlPlane, has
from tests.rig.history import ReplicaHistory
from tests.rig.keda import ADAPTER_HOST, Keda
from tests.rig.monitoring import Monitoring
from tests.rig.node import dns
from tests.rig.node.client import NodeAgent
from tests.rig.node.settings import AgentSettings, Identity, NodeSettings
from tests.rig.pki import Pair
from tests.rig.place import Place
from tests.servers.processes import wait_for

FIRST_POD_PART = 16
"""Pods of node 1 are in 127.BLOCK.16.0/24 and the seven after it, those of node 2 in the next eight, and so on."""
PARTS_PER_NODE = 8
SPARE = "rig.calltide.io/spare"
"""Label and taint of the spare nodes, which tests of failing nodes use: nothing else is scheduled there."""
_DNS_USER = "rig-dns"


class Rig:
    """Its parts are public: tests stop and start each of them."""

    def __init__(self, place: Place, *, nodes: int = 4, spare_nodes: int = 0) -> None:
        self.place = place
        place.hosts.write_text(f"127.0.0.1 localhost\n{place.server_address} {ADAPTER_HOST}\n", encoding="utf-8")
        self.control_plane = ControlPlane(place)
        self.keda = Keda(self.control_plane)
        self.monitoring = Monitoring(self.control_plane)
        self.nodes = tuple(f"node-{number}" for number in range(1, nodes + 1))
        self.spare_nodes = tuple(f"spare-{number}" for number in range(1, spare_nodes + 1))
        self.agent = NodeAgent(self._agent_settings())
        self.history = ReplicaHistory(self.control_plane.client("rig-historian", "system:masters"))
        self._running = ExitStack()

    def start(self) -> None:
        """Start everything; the nodes are Ready when this returns."""
        for part in (self.control_plane, self.history, self.agent, self.keda, self.monitoring):
            self._running.callback(part.stop)
            part.start()
            if part is self.control_plane:
                self.control_plane.apply(*dns.access(_DNS_USER))
        wait_for(self._nodes_ready, "all nodes to be Ready", at_most_s=180)
        if self.spare_nodes:
            self.control_plane.kubectl("taint", "nodes", *self.spare_nodes, f"{SPARE}=:NoSchedule")

    def stop(self) -> None:
        """Stop what was started, in reverse order; a part that fails keeps none of the others from its turn."""
        self._running.close()

    def wanted_replicas(self, namespace: str) -> dict[str, int]:
        """`spec.replicas` of each Deployment of a namespace."""
        found = self.control_plane.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
        return {one["metadata"]["name"]: one["spec"]["replicas"] for one in found}

    def ready_replicas(self, namespace: str) -> dict[str, int]:
        """Ready pods of each Deployment of a namespace."""
        found = self.control_plane.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
        return {one["metadata"]["name"]: one["status"].get("readyReplicas", 0) for one in found}

    def _agent_settings(self) -> AgentSettings:
        pki, place = self.control_plane.pki, self.place
        return AgentSettings(
            api_server=self.control_plane.url,
            authority=pki.authority,
            nodes=tuple(
                NodeSettings(
                    name=name,
                    identity=_identity(pki.user(f"system:node:{name}", "system:nodes")),
                    address=place.address(number, part=2),
                    pod_network=IPv4Network((place.address(0, FIRST_POD_PART + (number - 1) * PARTS_PER_NODE), 21)),
                    labels={SPARE: ""} if name in self.spare_nodes else {},
                )
                for number, name in enumerate(self.nodes + self.spare_nodes, start=1)
            ),
            dns=_identity(pki.user(_DNS_USER)),
            folder=place.folder / "nodes",
            hosts=place.hosts,
            control_address=place.server_address,
            control_port=place.free_port(),
        )

    def _nodes_ready(self) -> bool:
        ready = [node["metadata"]["name"] for node in self.control_plane.items("/api/v1/nodes") if has(node, "Ready")]
        return sorted(ready) == sorted(self.nodes + self.spare_nodes)


def _identity(pair: Pair) -> Identity:
    return Identity(pair.certificate, pair.key)
