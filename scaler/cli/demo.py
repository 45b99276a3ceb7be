"""`calltide demo`: the service on simulated tenants or on a history of one's own, faster than life."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
import yaml

from forecasting.calendar import CivilCalendar
from forecasting.sources.settings import FileKind
from scaler.cli.exit_codes import ExitCode
from scaler.cli.history_file import (
    Country,
    DurationColumn,
    HistoryFile,
    Kind,
    SeriesColumn,
    Step,
    Subdivision,
    TimeColumn,
    TimeZone,
    ValueColumn,
)
from scaler.cli.output import ends_well, fail, notice
from scaler.cli.serve import exit_code_of
from scaler.demo.replay_scenario import replay_policies, write_recording
from scaler.demo.scenario import NEW_YORK, POLICIES, demo_start_s
from scaler.service.commands import service_commands
from scaler.service.configuration import load_configuration
from scaler.service.demo_parts import DemoPlan
from scaler.service.logs import configure_logs
from scaler.service.supervisor import supervise

HOST = "127.0.0.1"


@ends_well
def demo(
    history: Annotated[
        Path | None,
        typer.Option(help="Play this history instead of simulated tenants.", exists=True, dir_okay=False),
    ] = None,
    tz: TimeZone = None,
    country: Country = None,
    subdivision: Subdivision = None,
    kind: Kind = FileKind.SAMPLES,
    series_column: SeriesColumn = "series",
    time_column: TimeColumn = "ts",
    value_column: ValueColumn = "value",
    duration_column: DurationColumn = None,
    step: Step = None,
    speed: Annotated[float, typer.Option(min=1, max=300, help="Seconds of the demo per second.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Another number, other callers.")] = 1,
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 8080,
    keda_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the gRPC server.")] = 9090,
) -> None:
    """Play the whole service: eight weeks of history, forecasts, plans, real gRPC, simulated pods, and a page."""
    for port, option in ((web_port, "--web-port"), (keda_port, "--keda-port")):
        _check_port(port, option)
    folder = Path(tempfile.mkdtemp(prefix="calltide-demo-"))
    try:
        if history is None:
            plan = _simulated(folder, speed, seed)
        else:
            columns = (series_column, time_column, value_column, duration_column)
            file = HistoryFile(history, tz, country, subdivision, kind, *columns, step)
            plan = _replayed(folder, file, speed, seed)
        raise typer.Exit(exit_code_of(_play(folder, plan, web_port, keda_port)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_port(port: int, option: str) -> None:
    with socket.socket() as probe:
        # Like a server: a connection that lingers from the demo before does not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            fail(f"Port {port} cannot be used: {error.strerror}. Choose another with {option}.", ExitCode.FAILED)


def _simulated(folder: Path, speed: float, seed: int) -> DemoPlan:
    shutil.copytree(POLICIES, folder / "policies")
    now_s = time.time()
    return DemoPlan(demo_start_s(now_s), now_s, speed, seed, time_zone=NEW_YORK.time_zone)


def _replayed(folder: Path, file: HistoryFile, speed: float, seed: int) -> DemoPlan:
    notice.print(f"Reading {file.path} …", markup=False)
    recorded, calendar = file.load(), file.calendar
    (folder / "policies").mkdir()
    (folder / "policies" / "replay.yaml").write_text(replay_policies(recorded, calendar), encoding="utf-8")
    recording = folder / "recording.npz"
    write_recording(recorded, recording)
    now_s = time.time()
    start_s = demo_start_s(now_s, CivilCalendar(calendar.time_zone, calendar.country, calendar.subdivision))
    plan = DemoPlan(start_s, now_s, speed, seed, str(recording), calendar.time_zone)
    plan.sources.open("replay")  # a recording that is too short is told here and not in a child's log
    return plan


def _play(folder: Path, plan: DemoPlan, web_port: int, keda_port: int) -> int:
    path = folder / "calltide.yaml"
    document = {
        "apiVersion": "calltide.io/v1",
        "kind": "Configuration",
        "policies": "policies",
        "state": "state",
        "keda": {"listen": f"{HOST}:{keda_port}"},
        "web": {"listen": f"{HOST}:{web_port}"},
        "log": {"level": "error", "format": "console"},
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    configuration = load_configuration(path)
    configure_logs(configuration.log.level, configuration.log.format)
    begins = datetime.fromtimestamp(plan.start_s, ZoneInfo(plan.time_zone))
    calls = "Simulated calls" if plan.recording is None else "Your recorded load"

    def say_what_to_look_at() -> None:
        notice.print(
            f"\n  Open http://{HOST}:{web_port}/\n\n"
            f"  {calls} and simulated pods, {plan.speed:g} times as fast as life, from {begins:%A %H:%M} "
            f"({plan.time_zone}) on.\n"
            "  History is read and forecast within some seconds. Then choose a fleet: the band is its forecast, the\n"
            "  step line the plan; watch the pods stand before the load comes.\n"
            f"  KEDA's questions are answered on {HOST}:{keda_port} (gRPC). Ctrl-C ends the demo.\n",
            markup=False,
            soft_wrap=True,
        )

    commands = service_commands(configuration, path, ("--demo", plan.to_json()))
    return supervise(commands, on_started=say_what_to_look_at)
