"""A fleet of real PBXs that calltide retires, callers who never stop, and what tests ask of both."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from tests.rig import fleets
from tests.rig.installation import Installation
from tests.rig.rig import Rig
from tests.rig.telephony import Telephony
from tests.rig.voice import workloads
from tests.rig.voice.callers import Running
from tests.rig.voice.ledger import Ledger
from tests.rig.voice.pbx import Pbx
from tests.rig.voice.plan import CallPlan, Segment
from tests.rig.voice.proxy import Proxy, ProxyError
from tests.servers.processes import wait_for

NAMESPACE = "retiring"
POLICY_NAME = "retiring"
CHANNELS_PER_POD = 100
LONG_CALLS_PER_POD = 22
STEP_AT_MOST_S = 120
"""For what takes seconds on a machine with nothing else to do."""
QUIET_WINDOW_S = 6
NODE_DEATH_AFTER_S = 20
DEAF = "proxy-0"
MANIFEST = Path(__file__).parents[2] / "deploy" / "fleet" / "namespace.yaml"
PROTECTED = "calltide.io/protected"
Object = dict[str, Any]

POLICY = f"""
apiVersion: calltide.io/v1
kind: Policy
metadata: {{name: {POLICY_NAME}}}
spec:
  history:
    channels: max by (tenant) (rig_channels{{tenant=~"retiring-.*"}})
    lookBack: 1d
  capacity: {{channelsPerPod: {CHANNELS_PER_POD}, targetOccupancy: 1}}
  reactive: {{headroom: 0, maximumDataAge: 20s}}
  lead: {{default: 30s}}
  maxPods: 20
  guardrails: {{confirmChangeAbove: 100}}
  retirement:
    mode: "on"
    lookAhead: 10s
    quietWindow: {QUIET_WINDOW_S}s
    nodeDeathAfter: {NODE_DEATH_AFTER_S}s
    frontGates: [edge]
"""


class RetiringFleet:
    """One fleet by its name. Its load is what a test sets; its calls are real."""

    def __init__(self, rig: Rig, calltide: Installation, telephony: Telephony, name: str) -> None:
        self.rig, self.calltide, self.telephony, self.name = rig, calltide, telephony, name
        self.began_s = time.time()

    def apply(
        self,
        replicas: int,
        *,
        kind: str = "Deployment",
        maximum: int = 20,
        policy: str = POLICY_NAME,
        pod_spec: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it with so many pods; all of them take calls when this returns. `pod_spec` says more of each pod."""
        made = workloads.fleet(
            self.name, namespace=NAMESPACE, replicas=replicas, labels={PROTECTED: "true"}, environment=environment
        )
        if kind == "StatefulSet":
            made = as_stateful_set(made)
        # A policy is tested elsewhere for what it makes a preStop do; here nothing may hide behind a hook.
        made["spec"]["template"]["spec"]["containers"][0].pop("lifecycle", None)
        made["spec"]["template"]["spec"] |= pod_spec or {}
        self.need(replicas)
        trigger = {"scalerAddress": self.calltide.address, "policy": policy, "tenant": f"retiring-{self.name}"}
        scaled = fleets.scaled_object(self.name, namespace=NAMESPACE, metadata=trigger, maximum=maximum)
        scaled["spec"]["scaleTargetRef"]["kind"] = kind
        self.rig.control_plane.apply(made, scaled)
        self.until(lambda: len(self.ready()) == replicas, f"{replicas} pods of {self.name}")
        self.until(lambda: self.proxied() == len(self.telephony.proxies()) * replicas, "the proxies to know them all")
        self.until(lambda: self.state()["mode"] == "on", "calltide to have looked at the fleet")
        self.began_s = time.time()

    def need(self, pods: int) -> None:
        """Have the measured load need so many pods."""
        self.rig.monitoring.set_load(f"retiring-{self.name}", max(0.0, pods - 0.5) * CHANNELS_PER_POD)

    def call(self, *, hold_s: float, late_s: float = 0.0, through: Sequence[str] = ()) -> Running:
        """Long calls on every pod, and short ones all the time until these have ended; through these proxies, or all.

        Calls through a proxy that stands still cannot be ended by their callers while it does.
        """
        pods = len(self.ready())
        calls = LONG_CALLS_PER_POD * pods
        long = Segment(self.name, 0.0, calls / 10.0, 10.0, hold_s)
        short = Segment(self.name, 0.0, hold_s + late_s + 20.0, 1.0, 4.0)
        callers = self.telephony.callers(through or self.telephony.proxies())
        run = callers.start(CallPlan((long, short)))
        self.until(lambda: run.so_far().up >= calls, f"{calls} calls to be up")
        return run

    def pods(self) -> list[Object]:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        return self.rig.control_plane.items(path, labelSelector=f"calltide.io/fleet={self.name}")

    def ready(self) -> dict[str, str]:
        """Name → address of the pods that are Ready and stay."""
        return {
            pod["metadata"]["name"]: pod["status"]["podIP"]
            for pod in self.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
        }

    def uids(self) -> set[str]:
        """Of all its pods that stay."""
        return {pod["metadata"]["uid"] for pod in self.pods() if "deletionTimestamp" not in pod["metadata"]}

    def terminating_or_gone(self, name: str) -> bool:
        """Whether a pod was deleted. One on a dead node goes on being there until somebody confirms its end."""
        found = [pod for pod in self.pods() if pod["metadata"]["name"] == name]
        return all("deletionTimestamp" in pod["metadata"] for pod in found)

    def roll(self, kind: str) -> None:
        """Change the pod template, as a new image would."""
        self.rig.control_plane.kubectl("rollout", "restart", f"{kind.lower()}/{self.name}", f"--namespace={NAMESPACE}")

    def states(self) -> dict[str, str]:
        """Name → state as the pod's annotation has it."""
        return {
            pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get("calltide.io/state", "active")
            for pod in self.pods()
        }

    def leaving(self) -> list[str]:
        return sorted(name for name, state in self.states().items() if state in ("draining", "drained", "released"))

    def wish(self, name: str, wish: str) -> None:
        """Say by hand what shall become of a pod."""
        pod = ("pod", name, f"--namespace={NAMESPACE}", "--overwrite")
        self.rig.control_plane.kubectl("annotate", *pod, f"calltide.io/wish={wish}")

    def until_drains(self) -> str:
        """The one pod that drains, as soon as its gate is read back shut."""
        self.until(lambda: len(self.leaving()) == 1, "one pod to drain")
        (name,) = self.leaving()
        with self.pbx(name) as pbx:
            self.until(lambda: pbx.gate() != "open", f"the gate of {name} to be shut")
        return name

    def until_gone(self, name: str, at_most_s: float = STEP_AT_MOST_S) -> None:
        self.until(lambda: name not in self.states(), f"{name} to be gone", at_most_s)

    def channels(self, name: str) -> int:
        with self.pbx(name) as pbx:
            return len(pbx.channels())

    @contextmanager
    def pbx(self, name: str) -> Iterator[Pbx]:
        pbx = Pbx(next(pod["status"]["podIP"] for pod in self.pods() if pod["metadata"]["name"] == name))
        try:
            yield pbx
        finally:
            pbx.close()

    def pid(self, name: str, container: str = "asterisk", namespace: str = NAMESPACE) -> int:
        """Process 1 of a pod's container, as this machine numbers it."""
        for node in (*self.rig.nodes, *self.rig.spare_nodes):
            for running in self.rig.agent.pods(node):
                if (running.namespace, running.name) == (namespace, name):
                    return running.pids[container]
        raise AssertionError(f"no node runs {name}")

    def root(self, name: str) -> Path:
        """The root of a PBX's file system, as this machine sees it."""
        return Path(f"/proc/{self.pid(name)}/root")

    @contextmanager
    def hung(self, name: str) -> Iterator[None]:
        """The PBX of a pod stands still."""
        with stopped([self.pid(name)]):
            yield

    def hearing_proxies(self) -> tuple[str, ...]:
        """Addresses of the proxies that `deaf_proxy` leaves alone."""
        pods = self.rig.control_plane.items(
            f"/api/v1/namespaces/{workloads.PROXY_NAMESPACE}/pods", labelSelector=workloads.PROXY_LABELS
        )
        return tuple(pod["status"]["podIP"] for pod in pods if pod["metadata"]["name"] != DEAF)

    @contextmanager
    def deaf_proxy(self) -> Iterator[None]:
        """One of the proxies stands still, with all its processes."""
        first = psutil.Process(self.pid(DEAF, "kamailio", workloads.PROXY_NAMESPACE))
        with stopped([first.pid, *(child.pid for child in first.children(recursive=True))]):
            yield

    @contextmanager
    def password_rotated(self) -> Iterator[None]:
        """Every PBX of the fleet wants another password than calltide has."""
        names = list(self.ready())
        for name in names:
            self._set_password(name, "rotated")
        try:
            yield
        finally:
            for name in names:
                self._set_password(name, "rig")

    def _set_password(self, name: str, password: str) -> None:
        script = (
            f"sed -i 's/^password = .*/password = {password}/' /etc/asterisk/ari.conf"
            " && asterisk -rx 'module reload res_ari'"
        )
        entered = ["nsenter", f"--target={self.pid(name)}", "--pid", "--mount", "--uts", "--root", "--wd", "--"]
        subprocess.run([*entered, "/bin/sh", "-c", script], capture_output=True, timeout=30, check=True)

    def wanted(self) -> int:
        """The target of its workload."""
        for kind in ("deployments", "statefulsets"):
            for one in self.rig.control_plane.items(f"/apis/apps/v1/namespaces/{NAMESPACE}/{kind}"):
                if one["metadata"]["name"] == self.name:
                    return int(one["spec"]["replicas"])
        raise AssertionError(f"{self.name} has no workload")

    def state(self) -> Object:
        """What the leader's API says of the fleet's retirement; without a leader, that nothing is known."""
        return self._told("/retirement") or {"mode": None, "standstills": [], "conditions": [], "pods": []}

    def measured(self) -> float | None:
        """The channels that calltide measures now, None while it does not."""
        channels = self._told("").get("load_now", {}).get("channels")
        return None if channels is None else float(channels)

    def _told(self, part: str) -> Object:
        leader = self.calltide.leader()
        if leader is None:
            return {}
        try:
            answer = httpx.get(
                f"{self.calltide.page_of(leader)}api/v1/fleets/{NAMESPACE}/{self.name}{part}", timeout=10
            )
        except httpx.TransportError:
            return {}
        return dict(answer.json()) if answer.status_code == httpx.codes.OK else {}

    def waits_for(self, name: str) -> str:
        """What a pod waits for, as the API tells it."""
        return next((str(pod["why"]) for pod in self.state()["pods"] if pod["name"] == name), "")

    def held_by(self) -> set[str]:
        return {one["name"] for one in self.state()["standstills"]}

    def conditions(self) -> set[str]:
        return {one["name"] for one in self.state()["conditions"]}

    def proxied(self) -> int:
        """Destinations of the fleet that are active, over all proxies."""
        addresses = {f"sip:{address}:5060" for address in self.ready().values()}
        states = [proxy_states(address) for address in self.telephony.proxies()]
        return sum(flags == "AP" for one in states for uri, flags in one.items() if uri in addresses)

    def until(self, condition: Any, what: str, at_most_s: float = STEP_AT_MOST_S) -> None:
        wait_for(condition, what, at_most_s=at_most_s)


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """These processes stand still, with their connections open."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # a probe may have ended it meanwhile
                os.kill(pid, signal.SIGCONT)


MakeFleet = Callable[..., RetiringFleet]


def fleet_maker(rig: Rig, calltide: Installation, telephony: Telephony) -> MakeFleet:
    """A function that starts a fleet of this name, by default of three pods, and gives it when it takes calls."""
    rig.control_plane.apply(*retiring_namespace())
    calltide.add_policy(POLICY_NAME, POLICY)

    def make(name: str, replicas: int = 3, **more: Any) -> RetiringFleet:
        fleet = RetiringFleet(rig, calltide, telephony, name)
        fleet.apply(replicas, **more)
        return fleet

    return make


def retiring_namespace() -> list[Object]:
    """The namespace as `deploy/` has it, under the tests' own name."""
    namespace, budget = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    namespace["metadata"]["name"] = budget["metadata"]["namespace"] = NAMESPACE
    return [namespace, budget]


def proxy_states(address: str) -> dict[str, str]:
    proxy = Proxy(address)
    try:
        return proxy.states()
    except ProxyError:
        return {}
    finally:
        proxy.close()


def as_stateful_set(deployment: Object) -> Object:
    """The same fleet as a StatefulSet: its pods start at once, and no rollout ends one."""
    spec = {key: value for key, value in deployment["spec"].items() if key != "strategy"}
    spec |= {
        "serviceName": deployment["metadata"]["name"],
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
    }
    return {**deployment, "kind": "StatefulSet", "spec": spec}


def assert_none_cut(ledger: Ledger) -> None:
    """No call was cut, none refused: every caller hung up when they had planned to."""
    assert (ledger.cut, ledger.failed, ledger.refused) == (0, 0, 0), ledger.table()
    assert ledger.completed == ledger.offered, ledger.table()
