"""`calltide demo` as a stranger starts it: real processes, real gRPC, a page; and what happens when its parts die."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests.servers.processes import free_port, wait_for

CALLTIDE = str(Path(sys.executable).with_name("calltide"))


@dataclass
class Demo:
    """A running demo, asked over HTTP."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ask(self, path: str) -> dict:
        return httpx.get(self.url + path, timeout=20).raise_for_status().json()

    def fleets(self) -> dict[str, dict]:
        return {fleet["name"]: fleet for fleet in self.ask("/api/v1/fleets")["fleets"]}

    def job(self, name: str) -> dict:
        return next(job for job in self.ask("/api/v1/jobs")["jobs"] if job["name"] == name)

    def is_ready(self) -> bool:
        try:
            return httpx.get(self.url + "/readyz", timeout=20).status_code == 200
        except httpx.HTTPError:
            return False

    def is_forecasting(self) -> bool:
        return all(fleet["trust"] != "cold" for fleet in self.fleets().values())

    def descendants(self, words: str) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if words in " ".join(child.cmdline())]


def start(folder: Path, *options: str) -> Demo:
    web, keda = free_port(), free_port()
    log = folder / "log"
    command = [CALLTIDE, "demo", "--web-port", str(web), "--keda-port", str(keda), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    return Demo(process, f"http://127.0.0.1:{web}", log)


def stop(demo: Demo) -> None:
    if demo.process.poll() is None:
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(60) == 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    running = start(tmp_path_factory.mktemp("demo"), "--speed", "60")
    wait_for(running.is_ready, f"the demo's page, see {running.log}", at_most_s=120)
    wait_for(running.is_forecasting, f"forecasts, see {running.log}", at_most_s=180)
    yield running
    stop(running)


def test_every_fleet_has_a_forecast_a_plan_and_pods_that_serve(demo):
    fleets = demo.fleets()
    assert len(fleets) == 8
    for name, fleet in fleets.items():
        assert fleet["serving"] >= 1, name
        assert fleet["fault"] is None
        plan = demo.ask(f"/api/v1/fleets/demo/{name}/plan")
        assert len(plan["path"]["pods"]) == 48 * 12
        assert max(plan["path"]["pods"]) >= fleet["minimum_pods"]


def need_and_load(demo: Demo, fleet: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Pods and the load's upper quantile on the same slots, None when a newer forecast came in between."""
    plan = demo.ask(f"/api/v1/fleets/demo/{fleet}/plan")["path"]
    forecast = demo.ask(f"/api/v1/fleets/demo/{fleet}/forecast?from={plan['start_s']}")["measures"]["channels"]
    if forecast["start_s"] != plan["start_s"]:
        return None
    upper = next(path["values"] for path in forecast["paths"] if path["quantile"] == 0.95)
    slots = min(len(upper), len(plan["pods"]))
    return np.array(plan["pods"][:slots]), np.array(upper[:slots])


def test_the_plan_carries_the_forecast_in_every_slot_and_breathes_with_the_day(demo):
    pods, upper = wait_for(lambda: need_and_load(demo, "us-call-centre"), "plan and forecast of one issue")
    # 32 channels a pod: 80 % of 40.
    assert (pods >= np.ceil(upper / 32 - 1e-3)).all()
    assert pods.max() > 2 * pods.min()


def test_the_simulated_platform_asks_over_grpc_and_follows_the_answer(demo):
    asked = demo.ask("/api/v1/status")["keda"]["answers"]
    wait_for(lambda: demo.ask("/api/v1/status")["keda"]["answers"] > asked, "KEDA's questions are answered")

    def is_followed() -> bool:
        return all(fleet["spec_replicas"] >= fleet["answer"] for fleet in demo.fleets().values())

    wait_for(is_followed, "every fleet has at least the pods that it was told", at_most_s=120)


def test_a_killed_worker_is_replaced_while_the_plans_go_on(demo):
    (worker, *_) = demo.descendants("spawn_main")
    issued = demo.ask("/api/v1/fleets/demo/us-offices/forecast")["measures"]["channels"]["issued_at_s"]
    steps = demo.job("plan")["runs"]
    worker.kill()
    wait_for(lambda: demo.job("plan")["runs"] > steps, "plans go on")
    assert demo.fleets()["us-offices"]["answer"] >= 1

    def newer_forecast() -> bool:
        forecast = demo.ask("/api/v1/fleets/demo/us-offices/forecast")
        return forecast["measures"]["channels"]["issued_at_s"] > issued

    wait_for(newer_forecast, f"a new worker forecasts again, see {demo.log}", at_most_s=180)


def test_metrics_page_and_health_are_there(demo):
    assert "calltide_fleet_need_pods" in httpx.get(demo.url + "/metrics", timeout=20).text
    page = httpx.get(demo.url + "/", timeout=20)
    assert page.headers["content-type"].startswith("text/html")
    assert "calltide" in page.text


def test_explain_tells_the_sum_and_the_reason_at_the_terminal(demo):
    told = subprocess.run(
        [CALLTIDE, "explain", "demo/us-offices", "--url", demo.url], capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0, told.stderr
    assert "us-offices needs" in told.stdout
    unknown = subprocess.run(
        [CALLTIDE, "explain", "demo/us-office", "--url", demo.url], capture_output=True, text=True, timeout=120
    )
    assert unknown.returncode == 5
    assert "us-offices" in unknown.stderr


def test_a_port_that_is_taken_is_told_with_the_option_that_changes_it(demo):
    taken = demo.url.rpartition(":")[2]
    told = subprocess.run([CALLTIDE, "demo", "--web-port", taken], capture_output=True, text=True, timeout=120)
    assert told.returncode == 1
    assert "--web-port" in told.stderr


def test_a_history_of_ones_own_is_played(tmp_path):
    starts = np.arange(np.datetime64("2026-03-02"), np.datetime64("2026-04-27"), np.timedelta64(30, "m"))
    hours = (starts - starts.astype("datetime64[D]")).astype("timedelta64[m]").astype(int) / 60
    load = np.round(40 + 35 * np.sin(2 * np.pi * (hours - 8) / 24))
    rows = "\n".join(f"acme,{at},{value}" for at, value in zip(starts.astype(str), load, strict=True))
    history = tmp_path / "calls.csv"
    history.write_text(f"series,ts,value\n{rows}\n")
    demo = start(tmp_path, "--history", str(history), "--tz", "Europe/Berlin", "--country", "DE", "--speed", "300")
    try:
        wait_for(demo.is_ready, f"the page, see {demo.log}", at_most_s=120)
        wait_for(demo.is_forecasting, f"forecasts, see {demo.log}", at_most_s=180)
        (fleet,) = demo.fleets().values()
        assert fleet["tenants"] == ["acme"]
        assert fleet["peak"]["need"] >= 8
    finally:
        stop(demo)
    assert demo.process.returncode == 0
