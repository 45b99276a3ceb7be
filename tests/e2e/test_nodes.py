"""The node agent does what kubelets do, and its nodes fail as nodes fail: everything else in here stands on that.

What is asserted is what the API server shows, which is all that controllers see, beside what the pods themselves saw
and wrote to their logs. The tests have the rig's spare nodes for themselves: one for pods, two that fail.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import psutil
import pytest

from tests.e2e.spare_pods import (
    HARDLY_SO_LONG_S,
    NAMESPACE,
    Pods,
    conditions_of,
    config_map,
    is_leaving,
    is_ready,
    is_well,
    room,
    seconds,
    taints,
)
from tests.rig.node.client import NodeAgent
from tests.rig.node.keeper import BACK_OFF_S
from tests.rig.node.settings import Identity, NodeSettings
from tests.rig.rig import SPARE, Rig
from tests.servers.processes import wait_for

DYING, CUT_OFF, CALM = "spare-1", "spare-2", "spare-3"
CONTROLLERS_NOTICE_S = 180
"""They wait for 50 s until a silent node is gone, and then take one node every 10 s."""

WITNESS = """
import json, os, pathlib, time
from kubernetes import client, config

config.load_incluster_config()
api = client.CoreV1Api()

def asked(ask, namespace):
    try:
        return [item.metadata.name for item in ask(namespace).items]
    except client.ApiException as refused:
        return refused.status

names = ("FROM_MAP", "FROM_SECRET", "POD_NAME", "POD_IP", "NODE", "LABEL", "MADE")
print(json.dumps({
    "environment": {name: os.environ[name] for name in names},
    "secret file": pathlib.Path("/secret/word").read_text(),
    "labels file": pathlib.Path("/about/labels").read_text(),
    "pods": asked(api.list_namespaced_pod, "nodes"),
    "secrets": asked(api.list_namespaced_secret, "nodes"),
    "pods elsewhere": asked(api.list_namespaced_pod, "kube-system"),
}), flush=True)
shown = None
while True:
    if (now := pathlib.Path("/map/word").read_text()) != shown:
        print(shown := now, flush=True)
    time.sleep(0.1)
"""
LEAVER = 'trap "echo SIGTERM" TERM; echo began; while :; do sleep 0.1; done'
HOOK = "echo preStop begins; sleep 1; echo preStop ends"
GRACE_S = 8
"""Of which the hook takes one second, so that there is time to look."""


@pytest.fixture(scope="module")
def pods(rig: Rig) -> Iterator[Pods]:
    rig.control_plane.apply(*room())
    yield Pods(rig)
    rig.control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_a_container_sees_what_its_pod_gives_it_and_may_do_what_its_account_may(pods: Pods) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "told", "namespace": NAMESPACE}}
    pods.cluster.apply(config_map("told", "first"), {**secret, "stringData": {"word": "hush"}})
    key = {"name": "told", "key": "word"}
    fields = {"POD_NAME": "metadata.name", "POD_IP": "status.podIP", "NODE": "spec.nodeName"}
    fields["LABEL"] = "metadata.labels['app']"
    pods.run(
        "witness",
        node=CALM,
        image="calltide",
        command=[sys.executable, "-c", WITNESS],
        env=[
            {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": key}},
            {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": key}},
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
            {"name": "MADE", "value": "$(POD_NAME)@$(NODE)"},
        ],
        volumeMounts=[{"name": name, "mountPath": f"/{name}"} for name in ("map", "secret", "about")],
        volumes=[
            {"name": "map", "configMap": {"name": "told"}},
            {"name": "secret", "secret": {"secretName": "told"}},
            {
                "name": "about",
                "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]},
            },
        ],
    )
    pod = pods.wait_until_ready("witness")
    uid = pod["metadata"]["uid"]
    pods.wait_for_line(uid, "first")
    seen = json.loads(pods.lines(uid)[0])
    assert seen["environment"] == {
        "FROM_MAP": "first",
        "FROM_SECRET": "hush",
        "POD_NAME": "witness",
        "POD_IP": pod["status"]["podIP"],
        "NODE": CALM,
        "LABEL": "witness",
        "MADE": f"witness@{CALM}",
    }
    assert (seen["secret file"], seen["labels file"]) == ("hush", 'app="witness"')
    assert "witness" in seen["pods"]
    assert (seen["secrets"], seen["pods elsewhere"]) == (403, 403)

    pods.cluster.apply(config_map("told", "second"))
    pods.wait_for_line(uid, "second")
    assert pods.container("witness")["restartCount"] == 0


def test_a_pod_is_ready_as_long_as_its_probe_says_so(pods: Pods) -> None:
    pods.cluster.apply(config_map("gate", "closed"))
    pods.run(
        "gated",
        node=CALM,
        readinessProbe={"exec": {"command": ["grep", "-q", "open", "/gate/word"]}, "periodSeconds": 1},
        volumeMounts=[{"name": "gate", "mountPath": "/gate"}],
        volumes=[{"name": "gate", "configMap": {"name": "gate"}}],
    )
    wait_for(lambda: pods.container("gated").get("started"), "the container to run")
    before = pods.one("gated")
    opened_s = int(time.time())  # the API server's times are whole seconds
    pods.cluster.apply(config_map("gate", "open"))
    after = pods.wait_until_ready("gated")

    assert not is_ready(before)
    assert seconds(conditions_of(after)["Ready"]["lastTransitionTime"]) >= opened_s
    assert conditions_of(after)["Initialized"] == conditions_of(before)["Initialized"]
    assert pods.container("gated")["ready"]

    pods.cluster.apply(config_map("gate", "closed"))
    wait_for(lambda: not is_ready(pods.one("gated")), "the pod to be unready again", at_most_s=HARDLY_SO_LONG_S)
    assert not pods.container("gated")["ready"]
    assert pods.container("gated")["restartCount"] == 0


def test_a_status_has_what_controllers_go_by(pods: Pods) -> None:
    asked_s = int(time.time())
    pods.run("plain", node=CALM)
    pod = pods.wait_until_ready("plain")
    status, conditions = pod["status"], conditions_of(pod)
    (network,) = [node.pod_network for node in pods.rig.agent.settings.nodes if node.name == CALM]
    assert status["phase"] == "Running"
    assert IPv4Address(status["podIP"]) in network
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"] not in (None, "", status["podIP"])
    assert asked_s <= seconds(status["startTime"]) <= time.time()
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        assert conditions[kind]["status"] == "True"
        assert asked_s <= seconds(conditions[kind]["lastTransitionTime"]) <= time.time()
    (container,) = status["containerStatuses"]
    assert {key: container[key] for key in ("name", "image", "ready", "started", "restartCount", "lastState")} == {
        "name": "main",
        "image": "pause",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "lastState": {},
    }
    assert container["containerID"]
    assert asked_s <= seconds(container["state"]["running"]["startedAt"]) <= time.time()


def test_a_container_that_crashes_is_started_again_ever_later(pods: Pods) -> None:
    pods.run("crasher", node=CALM, command=["/bin/sh", "-c", "date +%s.%N; exit 3"])
    wait_for(lambda: pods.container("crasher").get("restartCount", 0) >= 3, "three restarts", at_most_s=120)
    waiting = wait_for(lambda: pods.container("crasher")["state"].get("waiting"), "the next back-off")
    pod = pods.one("crasher")
    assert waiting["reason"] == "CrashLoopBackOff"
    assert pods.container("crasher")["lastState"]["terminated"]["exitCode"] == 3
    assert not is_ready(pod)
    starts_s = [float(line) for line in pods.lines(pod["metadata"]["uid"])]
    for number in range(3):
        assert starts_s[number + 1] - starts_s[number] >= BACK_OFF_S * 2**number


def test_a_pod_that_goes_has_its_hook_then_sigterm_and_all_of_its_grace(pods: Pods) -> None:
    pods.run(
        "leaver",
        node=CALM,
        command=["/bin/sh", "-c", LEAVER],
        lifecycle={"preStop": {"exec": {"command": ["/bin/sh", "-c", HOOK]}}},
        terminationGracePeriodSeconds=GRACE_S,
    )
    uid = pods.wait_until_ready("leaver")["metadata"]["uid"]
    pods.wait_for_line(uid, "began")
    (process,) = pods.processes(CALM, "leaver")
    asked_s = time.monotonic()
    pods.cluster.kubectl("delete", "pod", "leaver", f"--namespace={NAMESPACE}", "--wait=false")
    # It is stubborn: SIGTERM does not end it, so it is there until its grace is over.
    pods.wait_for_line(uid, "SIGTERM")
    leaving = pods.one("leaver")
    assert is_leaving(leaving)
    assert "running" in leaving["status"]["containerStatuses"][0]["state"]
    wait_for(lambda: not pods.of("leaver"), "the pod to be gone", at_most_s=HARDLY_SO_LONG_S)
    assert time.monotonic() - asked_s >= GRACE_S
    assert pods.lines(uid) == ["began", "preStop begins", "preStop ends", "SIGTERM"]
    assert not process.is_running()


def test_a_drained_node_hands_its_pods_over(pods: Pods) -> None:
    pods.run_fleet("moved")
    processes = pods.processes(DYING, "moved")
    assert len(processes) == 2
    try:
        pods.cluster.kubectl("drain", DYING, "--pod-selector=app=moved", "--timeout=100s")
        wait_for(lambda: pods.placed("moved") == {CUT_OFF: 3, CALM: 3}, "the pods to be Ready on the other nodes")
        assert len(pods.of("moved")) == 6
        assert not any(process.is_running() for process in processes)
    finally:
        pods.cluster.kubectl("uncordon", DYING)


def test_a_dead_node_and_one_that_is_cut_off_are_replaced_and_come_back_clean(pods: Pods) -> None:
    """Both at once, on two nodes, as most of it is waiting for controllers that wait."""
    pods.run_fleet("lost")
    dead, alive = pods.processes(DYING, "lost"), pods.processes(CUT_OFF, "lost")
    assert (len(dead), len(alive)) == (2, 2)
    old = {pod["metadata"]["uid"] for pod in pods.of("lost") if pod["spec"]["nodeName"] != CALM}
    agent = pods.rig.agent
    agent.die(DYING)
    agent.partition(CUT_OFF)
    try:
        assert not any(process.is_running() for process in dead)
        wait_for(lambda: pods.placed("lost") == {CALM: 6}, "all to be replaced", at_most_s=CONTROLLERS_NOTICE_S)
        gone = [pods.node(name) for name in (DYING, CUT_OFF)]
        leaving = {pod["metadata"]["uid"] for pod in pods.of("lost") if is_leaving(pod)}
        lived_on = [process.is_running() for process in alive]
    finally:
        agent.come_back(DYING)
        agent.heal(CUT_OFF)

    assert [conditions_of(node)["Ready"]["status"] for node in gone] == ["Unknown", "Unknown"]
    assert all("node.kubernetes.io/unreachable" in taints(node) for node in gone)
    # Replacements may be among them that the scheduler gave to one node before that was known to be gone, too.
    assert leaving >= old, "nobody but the node itself may say that its pods have ended"
    assert lived_on == [True, True]

    for name in (DYING, CUT_OFF):
        wait_for(lambda name=name: is_well(pods.node(name)), f"{name} to be Ready", at_most_s=HARDLY_SO_LONG_S)
    wait_for(lambda: len(pods.of("lost")) == 6, "the old pods to be finalised", at_most_s=HARDLY_SO_LONG_S)
    assert pods.placed("lost") == {CALM: 6}
    assert not any(process.is_running() for process in alive)
    left = {pod.uid for name in (DYING, CUT_OFF) for pod in agent.pods(name)}
    assert not left & old


@pytest.fixture
def lone_agent(rig: Rig) -> Iterator[NodeAgent]:
    """An agent of its own with one node, `lone`, beside the rig's."""
    name, place, pair = "lone", rig.place, rig.control_plane.pki.user("system:node:lone", "system:nodes")
    number = len(rig.agent.settings.nodes) + 1
    hosts = place.folder / "hosts-of-lone"
    hosts.write_text(place.hosts.read_text(encoding="utf-8"), encoding="utf-8")
    node = NodeSettings(
        name=name,
        identity=Identity(pair.certificate, pair.key),
        address=place.address(number, part=2),
        pod_network=IPv4Network((place.address(0, part=240), 24)),
    )
    own = {"nodes": (node,), "folder": place.folder / "lone", "hosts": hosts, "control_port": place.free_port()}
    agent = NodeAgent(dataclasses.replace(rig.agent.settings, **own))
    labels, taint = {"kubernetes.io/hostname": name}, {"key": SPARE, "effect": "NoSchedule"}
    # There before its agent is: nobody else's pod may come to it meanwhile.
    registered = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    rig.control_plane.apply({**registered, "spec": {"taints": [taint]}})
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()
        rig.control_plane.kubectl("delete", "node", name, "--ignore-not-found")


def test_a_killed_agent_takes_its_containers_along_and_the_next_one_starts_them(
    pods: Pods, lone_agent: NodeAgent
) -> None:
    pods.run("survivor", node="lone")
    pods.wait_until_ready("survivor")
    processes = psutil.Process(lone_agent.process.pid).children(recursive=True)
    (container,) = [psutil.Process(pid) for pod in lone_agent.pods("lone") for pid in pod.pids.values()]
    assert container in processes
    lone_agent.process.kill()
    wait_for(lambda: not any(process.is_running() for process in processes), "every process of the agent to end")
    lone_agent.start()
    wait_for(lambda: pods.container("survivor")["restartCount"] == 1, "the container to be started again")
    pods.wait_until_ready("survivor")
