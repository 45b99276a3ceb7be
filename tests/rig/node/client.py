"""The node agent as a rig uses it: its process, and the ways to make its nodes fail."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.enclosure import NAMESPACES
from tests.rig.node.settings import AgentSettings
from tests.rig.process import OwnedProcess
from tests.servers.processes import wait_for

_STARTS_S = 60.0
_ANSWERS_S = 60.0


class NodeAgentError(Exception):
    """The node agent refused, with its reason."""


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod as its node has it."""

    namespace: str
    name: str
    uid: str
    ip: str
    pids: Mapping[str, int]
    """Process 1 of each container that is a process, as this process's /proc numbers them."""


class NodeAgent:
    """One node agent. Killing it, as `stop` does, ends every container: the kernel ends its process namespace."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self._file = settings.folder / "agent.json"
        self.process = OwnedProcess(
            "node-agent",
            [
                *NAMESPACES,
                *(sys.executable, "-m", "tests.rig.node", "--settings", self._file),
            ],
            settings.folder / "agent.log",
            cwd=Path(__file__).parents[3],
        )

    def start(self) -> None:
        """Start it; it answers when this returns. Its nodes register soon after."""
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(self.settings.to_json(), encoding="utf-8")
        self.process.start()
        wait_for(self._answers, f"the node agent's answer at {self.settings.control_url}", at_most_s=_STARTS_S)

    def stop(self) -> None:
        """End it with all of its containers. One that does not run is no fault."""
        self.process.kill()

    def die(self, node: str) -> None:
        """A node loses its power: its processes end, its heartbeat stops, and nobody is told."""
        self._ask("POST", f"{node}/die")

    def come_back(self, node: str) -> None:
        """A node that died starts again, with the pods that are still bound to it."""
        self._ask("POST", f"{node}/come-back")

    def partition(self, node: str) -> None:
        """A node loses its way to the API server; its pods live on."""
        self._ask("POST", f"{node}/partition")

    def heal(self, node: str) -> None:
        """A node that was cut off reaches the API server again."""
        self._ask("POST", f"{node}/heal")

    def pods(self, node: str) -> tuple[RunningPod, ...]:
        """The pods that a node has."""
        pids = _pids_here()
        return tuple(
            RunningPod(
                namespace=pod["namespace"],
                name=pod["name"],
                uid=pod["uid"],
                ip=pod["ip"],
                pids={name: pids[pid] for name, pid in pod["containers"].items() if pid in pids},
            )
            for pod in self._ask("GET", f"{node}/pods")
        )

    def kill_container(self, namespace: str, pod: str, container: str) -> None:
        """End a container as a crash of its process would."""
        self._ask("POST", "any/kill-container", {"namespace": namespace, "pod": pod, "container": container})

    def evict(self, namespace: str, pod: str) -> None:
        """A pod's node runs short of something and ends it: the pod has failed for good."""
        self._ask("POST", "any/evict", {"namespace": namespace, "pod": pod})

    def _answers(self) -> bool:
        self.process.must_run()
        try:
            self._ask("GET", f"{self.settings.nodes[0].name}/pods")
        except urllib.error.URLError:
            return False
        return True

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.settings.control_url}/{path}", content, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWERS_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise NodeAgentError(f"{method} {path}: {error.read().decode(errors='replace')}") from error


def _pids_here() -> dict[int, int]:
    """Process 1 of every container: its id in the agent's process namespace → its id in this one."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text(encoding="ascii", errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        ids = next((line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:")), [])
        if len(ids) >= 3 and ids[-1] == "1":
            found[int(ids[-2])] = int(ids[0])
    return found
