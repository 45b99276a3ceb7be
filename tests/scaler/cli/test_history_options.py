"""The options that describe a history file: the page about them, and what they say of a file that does not fit."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from scaler.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
HISTORY_OPTIONS = {
    "--history",
    "--kind",
    "--series-column",
    "--time-column",
    "--value-column",
    "--duration-column",
    "--tz",
    "--country",
    "--subdivision",
    "--step",
}


def _run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})


def _options(command):
    parameters = typer.main.get_command(app).commands[command].params
    return {name for parameter in parameters for name in parameter.opts}


def test_the_page_of_sources_names_every_option_of_a_history_file():
    section = (ROOT / "docs/sources.md").read_text().split("## At the command line")[1].split("\n## ")[0]
    for command in ("forecast", "backtest", "outlook", "demo"):
        assert _options(command) >= HISTORY_OPTIONS
        assert f"`{command}`" in section.replace("calltide ", "")
    for option in HISTORY_OPTIONS:
        assert f"`{option}`" in section


def test_the_readme_names_every_command_that_reads_a_history():
    readme = (ROOT / "README.md").read_text()
    for command in ("forecast", "backtest", "outlook"):
        assert f"calltide {command}" in readme


@pytest.mark.parametrize(("kind", "value"), [("samples", "--value-column"), ("events", "--duration-column")])
def test_a_missing_column_is_told_with_the_options_that_name_columns(tmp_path, kind, value):
    path = tmp_path / "calls.csv"
    path.write_text("tenant,time,calls\nacme,2026-06-08,1\n")
    ran = _run("forecast", "--history", path, "--kind", kind)
    assert ran.exit_code == 3
    assert "no column 'series'. The columns are tenant, time, calls. Name them by --series-column" in ran.stderr
    assert f", --time-column and {value}\n" in ran.stderr


@pytest.mark.parametrize(
    ("times", "options", "told"),
    [
        ("2026-06-08 00:{}0", (), True),
        ("2026-06-08 00:{}0", ("--tz", "UTC"), False),
        ("2026-06-08 00:{}0Z", (), False),
        ("17808768{}0", (), False),
    ],
)
def test_times_that_were_taken_for_utc_are_told(tmp_path, times, options, told):
    path = tmp_path / "calls.csv"
    path.write_text("series,ts,value\n" + "".join(f"acme,{times.format(place)},1\n" for place in range(2)))
    ran = _run("forecast", "--history", path, *options)
    assert ran.exit_code == 0, ran.stderr
    assert ("times carry no offset and were read as UTC; name their zone with --tz\n" in ran.stderr) == told


@pytest.mark.parametrize("step", ["7m", "2h"])
def test_a_step_is_one_that_a_policy_could_have(tmp_path, step):
    path = tmp_path / "calls.csv"
    path.write_text("series,ts,value\nacme,2026-06-08 00:00Z,1\n")
    ran = _run("forecast", "--history", path, "--step", step)
    assert ran.exit_code == 2
    assert f"{step} does not divide an hour; use 1m, 5m, 10m, 15m, 30m or 1h" in ran.stderr
