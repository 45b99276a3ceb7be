"""What calltide costs on a rig: CPU and memory of its replicas, and requests to the API server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from tests.rig.installation import NAMESPACE, Installation
from tests.rig.rig import Rig

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:calltide"


@dataclass(frozen=True)
class Usage:
    """What the processes of calltide's containers had used at one moment."""

    at_s: float
    cpu_s: Mapping[str, float]
    memory_bytes: Mapping[str, float]


def usage(calltide: Installation) -> Usage:
    """What each replica has used by now."""
    cpu_s: dict[str, float] = {}
    memory_bytes: dict[str, float] = {}
    leader = calltide.leader()
    for pod in calltide.pods():
        processes = calltide.processes(pod)
        role = "leader" if pod == leader else "follower"
        cpu_s[role] = sum(sum(process.cpu_times()[:2]) for process in processes)
        memory_bytes[role] = sum(process.memory_full_info().pss for process in processes)
    return Usage(time.time(), cpu_s, memory_bytes)


def usage_table(before: Usage, after: Usage) -> Table:
    """Cores and memory of each replica between two moments."""
    table = Table("replica", "CPU, cores", "memory (PSS), MiB", title="calltide, all processes of a replica")
    for role, cpu_s in after.cpu_s.items():
        cores = (cpu_s - before.cpu_s[role]) / (after.at_s - before.at_s)
        table.add_row(role, f"{cores:.3f}", f"{after.memory_bytes[role] / 2**20:.0f}")
    return table


def requests(rig: Rig) -> Counter[str]:
    """Requests of calltide's account since the rig's start, from the audit log."""
    counted: Counter[str] = Counter()
    for event in rig.control_plane.audited():
        if event["user"]["username"] == ACCOUNT and event["stage"] == "ResponseComplete":
            counted[f"{event['verb']} {event.get('objectRef', {}).get('resource', event['requestURI'])}"] += 1
    return counted


def requests_table(counted: Counter[str], seconds: float) -> Table:
    """Requests a minute of what was counted in so many seconds."""
    minutes = seconds / 60
    table = Table(
        "request of calltide", "per minute", title=f"API server, {sum(counted.values()) / minutes:.0f} a minute"
    )
    for what, count in counted.most_common():
        table.add_row(what, f"{count / minutes:.1f}")
    return table
