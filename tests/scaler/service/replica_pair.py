"""Two calltides as replicas of one cluster, each with all its processes, a state directory and ports of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import psutil
import yaml

from keda_external_scaler.book_file import open_book
from keda_external_scaler.contract import externalscaler_pb2 as messages
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from tests.servers.kube_api import KubeApi
from tests.servers.processes import free_port, wait_for

CALLTIDE = str(Path(sys.executable).with_name("calltide"))
STEP_S = 300
CHANNELS = 155
POLICY = """
apiVersion: calltide.io/v1
kind: Policy
metadata: {{name: voice}}
spec:
  history: {{channels: channels}}
  capacity: {{channelsPerPod: {per_pod}, targetOccupancy: 1.0}}
  reactive: {{headroom: 0, maximumDataAge: 15m}}
  maxPods: 40
"""


def write_history(path: Path, weeks: int = 3) -> None:
    """The same load for some weeks back and for a day to come, so that any number is the policy's doing."""
    last_s = int(time.time()) // STEP_S * STEP_S + 86400
    times = range(last_s - weeks * 7 * 86400, last_s, STEP_S)
    path.write_text("series,ts,channels\n" + "".join(f"acme,{at_s},{CHANNELS}\n" for at_s in times))


@dataclass
class Calltide:
    """One replica."""

    name: str
    folder: Path
    web: str
    keda: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    told: list[int] = field(default_factory=list)
    """Every number that KEDA was told, in order."""

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [CALLTIDE, "serve", "--config", str(self.folder / "calltide.yaml")]
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **self.environment}, cwd=self.folder
            )

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def main(self) -> psutil.Process:
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if "scaler.service.main_process" in child.cmdline())

    def kill(self) -> None:
        """End everything of it at once, as a node that loses its power does."""
        assert self.process is not None
        supervisor = psutil.Process(self.process.pid)
        supervisor.suspend()  # it must not start its children again, nor pass a signal on
        for process in [*supervisor.children(recursive=True), supervisor]:
            process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, f"see {self.folder / 'log'}"

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def get(self, path: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://{self.web}{path}", timeout=10)
        except httpx.HTTPError:
            return None

    def status(self) -> dict:
        answer = self.get("/api/v1/status")
        return {} if answer is None or answer.status_code != 200 else answer.json()

    def role(self) -> str | None:
        return self.status().get("replica", {}).get("role")

    def term(self) -> int | None:
        return self.status().get("replica", {}).get("term")

    def is_ready(self) -> bool:
        answers = [self.get("/readyz"), self.get("/readyz/keda")]
        return all(answer is not None and answer.status_code == 200 for answer in answers)

    def pods(self) -> int | None:
        """What KEDA is told, None for an error."""
        fleet = messages.ScaledObjectRef(
            namespace="voice", name="acme", scalerMetadata={"policy": "voice", "tenant": "acme"}
        )
        with grpc.insecure_channel(self.keda) as channel:
            try:
                request = messages.GetMetricsRequest(scaledObjectRef=fleet, metricName="pods")
                (value,) = ExternalScalerStub(channel).GetMetrics(request, timeout=10).metricValues
            except grpc.RpcError:
                return None
        self.told.append(value.metricValue)
        return value.metricValue

    def book(self) -> tuple[int, int]:
        """Term and number of the book that its KEDA process reads."""
        book = open_book(self.state / "answers.book")
        return book.term, book.number

    def log(self) -> str:
        return (self.folder / "log").read_text()


class Pair:
    """Both replicas and the cluster that they share."""

    def __init__(self, folder: Path, api: KubeApi, *, lease: str, tls: dict[str, str] | None = None) -> None:
        self.folder, self.api = folder, api
        write_history(folder / "history.csv")
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "us"}}],
            "clusters": [{"name": "test", "cluster": {"server": api.url}}],
            "users": [{"name": "us", "user": {"token": "s3cret"}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
        self.replicas = [self._replica(f"calltide-{letter}", lease, tls) for letter in "ab"]
        self.write_policy(per_pod=16)

    def _replica(self, name: str, lease: str, tls: dict[str, str] | None) -> Calltide:
        folder = self.folder / name
        (folder / "policies").mkdir(parents=True)
        web, keda = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        document = {
            "apiVersion": "calltide.io/v1",
            "kind": "Configuration",
            "policies": "policies",
            "state": "state",
            "sources": {"default": {"type": "file", "paths": [str(self.folder / "history.csv")]}},
            "fleets": {"adapter": "kubernetes", "kubeconfig": str(self.folder / "kubeconfig")},
            "keda": {"listen": keda},
            "web": {"listen": web},
            "replicas": {
                "listen": "${POD_IP}:" + str(free_port()),
                "name": "${POD_NAME}",
                "namespace": "calltide",
                **json.loads(lease),
                **({} if tls is None else {"tls": tls}),
            },
        }
        (folder / "calltide.yaml").write_text(yaml.safe_dump(document))
        return Calltide(name, folder, web, keda, {"POD_IP": "127.0.0.1", "POD_NAME": name})

    def write_policy(self, *, per_pod: int) -> None:
        for replica in self.replicas:
            path = replica.folder / "policies" / "voice.yaml"
            fresh = path.with_suffix(".new")
            fresh.write_text(POLICY.format(per_pod=per_pod))
            shutil.move(fresh, path)

    def leader(self) -> Calltide | None:
        leaders = [one for one in self.replicas if one.role() == "leader"]
        assert len(leaders) <= 1, "two lead"
        return leaders[0] if leaders else None

    def wait_for_leader(self) -> Calltide:
        return wait_for(self.leader, f"a leader, see {self.folder}/*/log", at_most_s=120)

    def other(self, replica: Calltide) -> Calltide:
        return next(one for one in self.replicas if one is not replica)

    def wait_until_alike(self, pods: int) -> None:
        def alike() -> bool:
            return [one.pods() for one in self.replicas] == [pods, pods]

        try:
            wait_for(alike, f"both tell KEDA {pods}, see {self.folder}/*/log", at_most_s=120)
        except AssertionError as error:
            raise AssertionError(f"{error}; told were {[one.told[-1:] for one in self.replicas]}") from error

    def end(self) -> None:
        for replica in self.replicas:
            replica.end()
