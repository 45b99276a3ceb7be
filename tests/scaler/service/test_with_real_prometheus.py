"""The service as a whole: a real Prometheus with eight weeks of fifty tenants, real processes, a real gRPC client.

One run, told as a story in order: each step goes on from what the one before left.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest

from keda_external_scaler.contract import externalscaler_pb2 as messages
from keda_external_scaler.contract.externalscaler_pb2_grpc import ExternalScalerStub
from keda_external_scaler.stats import read_stats
from tests.servers.exporter import Exporters
from tests.servers.processes import free_port, wait_for
from tests.servers.prometheus import PrometheusServer, write_blocks

STEP_S = 300
WEEKS = 8
TENANTS = [f"tenant-{number:02}" for number in range(50)]
FLEETS = {f"fleet-{number}": TENANTS[10 * number : 10 * number + 10] for number in range(5)}
STALE_AFTER_S = 30

CONFIGURATION = """
apiVersion: calltide.io/v1
kind: Configuration
policies: policies
state: state
sources:
  default: {{type: prometheus, url: "{prometheus}", retries: 1, timeoutSeconds: 5}}
keda: {{listen: "127.0.0.1:{keda}", staleAfter: {stale_after}s}}
web: {{listen: "127.0.0.1:{web}"}}
log: {{format: console}}
"""

POLICY = """
apiVersion: calltide.io/v1
kind: Policy
metadata: {name: voice}
spec:
  history:
    channels: sum by (tenant) (max_over_time(asterisk_channels_count[1m]))
    completeness: avg by (tenant) (up)
  capacity: {channelsPerPod: 40}
  reactive: {maximumDataAge: 30s}
  maxPods: 60
fleets:
"""


def usual_load(at_s: np.ndarray) -> np.ndarray:
    """Channels of one tenant: low at night, high by day."""
    return 14 + 12 * np.sin(2 * np.pi * (at_s % 86400) / 86400 - 2)


@dataclass
class Running:
    """The service under test and what stands around it."""

    folder: Path
    prometheus: PrometheusServer
    exporters: Exporters
    keda: str
    web: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = [
                str(Path(sys.executable).with_name("calltide")),
                "serve",
                "--config",
                str(self.folder / "calltide.yaml"),
            ]
            self.process = subprocess.Popen(command, stderr=log, stdout=log)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(40) == 0

    def child(self, words: str) -> psutil.Process:
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if words in " ".join(child.cmdline()))

    def ask(self, path: str) -> dict | None:
        try:
            answer = httpx.get(f"http://{self.web}/api/v1/{path}", timeout=10)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def pods(self, fleet: str, channel: grpc.Channel) -> int | None:
        """What KEDA would be told, None for a gRPC error."""
        reference = messages.ScaledObjectRef(
            name=fleet, namespace="default", scalerMetadata={"policy": "voice", "tenants": ",".join(FLEETS[fleet])}
        )
        stub = ExternalScalerStub(channel)
        try:
            name = stub.GetMetricSpec(reference, timeout=10).metricSpecs[0].metricName
            request = messages.GetMetricsRequest(scaledObjectRef=reference, metricName=name)
            values = stub.GetMetrics(request, timeout=10).metricValues
        except grpc.RpcError:
            return None
        assert len(values) == 1
        return values[0].metricValue

    def all_pods(self, channel: grpc.Channel) -> dict[str, int] | None:
        told = {fleet: self.pods(fleet, channel) for fleet in FLEETS}
        return None if None in told.values() else told

    def log_tail(self) -> str:
        return (self.folder / "log").read_text()[-4000:]


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    now_s = int(time.time()) // STEP_S * STEP_S
    # The blocks end before the live part begins, so that no slot sees a tenant twice.
    times_s = np.arange(now_s - WEEKS * 7 * 86400, now_s - STEP_S, STEP_S)
    noise = np.random.default_rng(1)
    load = [np.round(usual_load(times_s) * noise.uniform(0.9, 1.1, times_s.size), 1).tolist() for _ in TENANTS]
    labels = [{"tenant": tenant, "instance": "history"} for tenant in TENANTS]
    data = folder / "prometheus" / "data"
    write_blocks(data, "asterisk_channels_count", labels, times_s.tolist(), load)
    write_blocks(data, "up", labels, times_s.tolist(), [[1] * times_s.size for _ in TENANTS])
    live = float(usual_load(np.array([now_s]))[0])
    exporters = Exporters(dict.fromkeys(TENANTS, f"asterisk_channels_count {live}\n"))
    config = exporters.scrape_config({tenant: tenant for tenant in TENANTS})
    prometheus = PrometheusServer(folder / "prometheus", config)
    prometheus.start()
    keda, web = free_port(), free_port()
    (folder / "calltide.yaml").write_text(
        CONFIGURATION.format(prometheus=prometheus.url, keda=keda, web=web, stale_after=STALE_AFTER_S)
    )
    (folder / "policies").mkdir()
    listed = "".join(f"  - {{name: {name}, tenants: [{', '.join(tenants)}]}}\n" for name, tenants in FLEETS.items())
    (folder / "policies" / "voice.yaml").write_text(POLICY + listed)
    service = Running(folder, prometheus, exporters, f"127.0.0.1:{keda}", f"127.0.0.1:{web}")
    service.start()
    yield service
    service.stop()
    prometheus.stop()
    exporters.close()


@pytest.fixture
def channel(running) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(running.keda) as channel:
        yield channel


def trusted(running: Running) -> bool:
    seen = running.ask("fleets")
    return bool(seen) and len(seen["fleets"]) == len(FLEETS) and all(f["trust"] == "trusted" for f in seen["fleets"])


def job_error(running: Running, name: str) -> str | None:
    answer = running.ask("jobs") or {"jobs": []}
    return next((job["error"] for job in answer["jobs"] if job["name"] == name), None)


def fleets_by_name(running: Running) -> dict[str, dict]:
    answer = running.ask("fleets")
    return {fleet["name"]: fleet for fleet in answer["fleets"]} if answer else {}


def explanation(running: Running, fleet: str) -> dict:
    return wait_for(lambda: running.ask(f"fleets/default/{fleet}/explanation"), f"why {fleet}")


def test_the_whole_look_back_is_read_and_every_fleet_is_forecast_from_it(running):
    wait_for(lambda: trusted(running), f"trusted forecasts\n{running.log_tail()}", at_most_s=240)
    history = running.ask("fleets/default/fleet-0/history?from=0")["measures"]["channels"]
    read = np.array([np.nan if value is None else value for value in history["values"]])
    ends_s = history["start_s"] + history["step_s"] * (1 + np.arange(read.size))
    observed = ~np.isnan(read)
    # Only the slots between the end of the blocks and the first scrape may be missing.
    assert observed[: -4 * 3600 // STEP_S].all()
    expected = 10 * usual_load(ends_s.astype(float))
    assert np.abs(read[observed][:-4] / expected[observed][:-4] - 1).max() < 0.11
    issued = running.ask("fleets/default/fleet-0/forecast")["measures"]["channels"]
    assert [path["quantile"] for path in issued["paths"]] == [0.5, 0.75, 0.9, 0.95, 0.99]


def test_keda_is_told_what_the_explanation_adds_up_to(running, channel):
    for fleet in FLEETS:
        why = explanation(running, fleet)
        wait_for(
            lambda fleet=fleet: running.pods(fleet, channel) == explanation(running, fleet)["answer"],
            f"{fleet}: KEDA is told the plan's number",
        )
        assert sum(step["pods"] for step in why["contributions"]) == why["answer"]
        assert why["answer"] >= 1


def test_half_of_the_targets_gone_is_a_gap_and_not_a_fall(running, channel):
    before = wait_for(lambda: running.all_pods(channel), "answers")
    half = {tenant for name in ("fleet-0", "fleet-1") for tenant in FLEETS[name]} | set(FLEETS["fleet-2"][:5])
    running.exporters.off |= half
    held = wait_for(
        lambda: (
            {name for name, fleet in fleets_by_name(running).items() if fleet["held"]}
            >= {"fleet-0", "fleet-1", "fleet-2"}
        ),
        "the fleets that cannot be measured are held",
        at_most_s=120,
    )
    assert held
    seen = fleets_by_name(running)
    assert not seen["fleet-3"]["held"]
    assert not seen["fleet-4"]["held"]
    now = running.all_pods(channel)
    assert all(now[fleet] >= before[fleet] for fleet in ("fleet-0", "fleet-1", "fleet-2"))
    running.exporters.off.clear()
    wait_for(
        lambda: not any(fleet["held"] for fleet in fleets_by_name(running).values()), "measured again", at_most_s=120
    )


def test_a_dead_prometheus_lowers_nothing_and_the_age_grows(running, channel):
    before = wait_for(lambda: running.all_pods(channel), "answers")
    running.prometheus.kill()
    wait_for(lambda: job_error(running, "measure"), "the failed measurement is told", at_most_s=120)
    wait_for(lambda: all(fleet["held"] for fleet in fleets_by_name(running).values()), "all held", at_most_s=240)
    ages = explanation(running, "fleet-0")["issue_age_s"]
    wait_for(lambda: explanation(running, "fleet-0")["issue_age_s"] > ages, "the issue age grows")
    now = running.all_pods(channel)
    assert all(now[fleet] >= before[fleet] for fleet in FLEETS), (before, now)
    assert httpx.get(f"http://{running.web}/healthz", timeout=10).status_code == 200


def test_keda_is_answered_without_a_gap_while_the_main_process_is_killed(running, channel):
    before = wait_for(lambda: running.all_pods(channel), "answers")
    killed = running.child("main_process")
    keda = running.child("keda_external_scaler").pid
    killed.kill()
    told = []
    wait_for(
        lambda: told.append(running.all_pods(channel)) or running.ask("status"),
        "the main process is back",
        at_most_s=120,
    )
    assert None not in told
    assert all(one[fleet] >= before[fleet] for one in told for fleet in FLEETS)
    assert running.child("keda_external_scaler").pid == keda
    assert running.child("main_process").pid != killed.pid


def test_a_main_process_that_hangs_leaves_keda_with_the_answers_alone(running, channel):
    before = wait_for(lambda: running.all_pods(channel), "answers")
    main = running.child("main_process")
    main.suspend()
    try:
        stats = running.folder / "state" / "keda-stats.json"
        before_alone = read_stats(stats).answers_alone
        wait_for(
            lambda: running.all_pods(channel) and read_stats(stats).answers_alone > before_alone, "answers are alone"
        )
        now = running.all_pods(channel)
        assert all(now[fleet] >= before[fleet] for fleet in FLEETS)
    finally:
        main.resume()


def test_prometheus_back_is_read_again_by_itself(running):
    running.prometheus.start()
    wait_for(lambda: job_error(running, "measure") is None and job_error(running, "ingest") is None, "no job fails")
    wait_for(
        lambda: fleets_by_name(running) and not any(fleet["held"] for fleet in fleets_by_name(running).values()),
        "nothing is held",
        at_most_s=120,
    )


def test_a_policy_with_an_error_changes_nothing_and_is_told_with_its_line(running, channel):
    policy = running.folder / "policies" / "voice.yaml"
    good = policy.read_text()
    before = wait_for(lambda: running.all_pods(channel), "answers")
    policy.write_text(good.replace("channelsPerPod", "channelsPerPot"))
    problems = wait_for(lambda: running.ask("status")["policy_problems"], "the fault is told")
    assert "voice.yaml:9: spec.capacity.channelsPerPot" in "\n".join(problems)
    assert "channelsPerPod" in "\n".join(problems)
    assert running.all_pods(channel).keys() == before.keys()
    policy.write_text(good)
    wait_for(lambda: not running.ask("status")["policy_problems"], "the fault is gone")


def test_a_stop_ends_every_process_and_a_start_answers_at_once_from_what_was_kept(running, channel):
    before = wait_for(lambda: running.all_pods(channel), "answers")
    tree = psutil.Process(running.process.pid).children(recursive=True)
    running.stop()
    assert not [process for process in tree if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    running.start()
    first = wait_for(lambda: running.all_pods(channel), "answers after a start")
    assert all(first[fleet] >= before[fleet] for fleet in FLEETS), (before, first)
    # The workers read and fit everything anew now. KEDA must not notice.
    told = []
    wait_for(lambda: told.append(running.all_pods(channel)) or trusted(running), "forecasts again", at_most_s=120)
    assert None not in told
