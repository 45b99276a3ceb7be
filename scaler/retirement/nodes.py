"""When a node is dead: the one case in which a pod leaves without a proof that it is empty.

A node that only lost the API server still carries calls. So a stale lease alone says nothing; the PBXs on it must be
silent as well, to probes and to SIP, and both for long. And when many nodes die at once it is more likely that we are
the ones who cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence

from scaler.retirement.closings import Closing, Closings
from scaler.retirement.evidence import DeadNode, Ground, OutOfService
from scaler.retirement.limits import RetirementLimits
from scaler.retirement.observed import ObservedNode


def dead_nodes(
    nodes: Sequence[ObservedNode], cluster_nodes: int, limits: RetirementLimits, closings: Closings
) -> dict[str, Ground]:
    """The nodes that are gone, by name. Silent ones count only while they are few; the taint counts always."""
    dead: dict[str, Ground] = {node.name: OutOfService(node.name) for node in nodes if node.out_of_service}
    silent = silent_nodes(nodes, limits, closings)
    if len(silent) <= most_dead_at_once(cluster_nodes, limits):
        dead |= {node.name: DeadNode(node.name, node.lease_stale_for_s, node.silent_for_s) for node in silent}
    return dead


def silent_nodes(nodes: Sequence[ObservedNode], limits: RetirementLimits, closings: Closings) -> list[ObservedNode]:
    """Nodes without a lease and without a sound for long enough, whether or not they are too many to believe it."""
    after_s = limits.node_death_after_s

    def is_silent(node: ObservedNode) -> bool:
        silence = node.silent_for_s >= after_s or Closing.LEASE_AND_SILENCE not in closings
        return node.lease_stale_for_s >= after_s and silence

    return [node for node in nodes if not node.out_of_service and is_silent(node)]


def most_dead_at_once(cluster_nodes: int, limits: RetirementLimits) -> int:
    """How many nodes may be declared dead at the same time: a share, and one at least."""
    return max(1, int(limits.dead_nodes_share * cluster_nodes))
