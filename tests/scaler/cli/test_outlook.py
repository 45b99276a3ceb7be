"""`calltide outlook` on small files of one's own."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecasting.outlook import smoothing
from scaler.cli.main import app
from tests.forecasting.histories import at_local, days_before, matrix, office_rates

WEEKS = 40
ZONE = "Europe/Berlin"


def _run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})


def _write(path, history):
    times = pd.to_datetime(history.grid.starts_s, unit="s", utc=True)
    frames = [pd.DataFrame({"series": name, "ts": times, "value": history.row(name)}) for name in history.series]
    pd.concat(frames).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Forty weeks of one tenant that grows by 2 % a week, one that stays, and one that began a month ago."""
    grid = days_before("2026-06-08", 7 * WEEKS, zone=ZONE)
    week = np.arange(grid.slots) // 168
    wander = np.exp(np.random.default_rng(2).normal(0, 0.02, (3, WEEKS + 1)))[:, week]
    rates = office_rates(grid, ZONE) * np.array([[1.0], [0.5], [0.1]]) * wander
    rates[0] *= 1.02**week
    values = np.random.default_rng(1).poisson(rates).astype(np.float32)
    values[2, : -28 * 24] = np.nan
    return _write(tmp_path_factory.mktemp("histories") / "load.parquet", matrix(grid, values))


@pytest.fixture(scope="module")
def document(file):
    ran = _run("outlook", "--history", file, "--tz", ZONE, "--json")
    assert ran.exit_code == 0, ran.stderr
    return json.loads(ran.stdout)


def test_one_json_document_tells_the_weeks_of_each_tenant_and_of_their_sum(document):
    assert document["weeks"][0] == "2026-06-08"
    assert document["weeks"][-1] == "2026-08-31"
    assert list(document["series"]) == ["tenant-0", "tenant-1", "tenant-2"]
    for series in (document["sum"], document["series"]["tenant-0"]):
        for what in ("mean", "busy_hour"):
            assert list(series[what]) == ["0.5", "0.75", "0.9", "0.95", "0.99"]
            assert all(len(line) == 13 for line in series[what].values())
            assert len(series["past"][what]) == len(document["past_weeks"])


def test_who_grows_is_told_to_grow_and_who_stays_to_stay(document):
    grows, stays = (document["series"][name] for name in ("tenant-0", "tenant-1"))
    assert 0.01 < grows["growth_per_week"] < 0.03
    assert grows["busy_hour"]["0.5"][-1] > 1.1 * grows["past"]["busy_hour"][-1]
    assert stays["growth_per_week"] == 0
    assert stays["mean"]["0.5"][0] == stays["mean"]["0.5"][-1]


def test_a_tenant_of_a_month_is_cold_and_has_no_path(document):
    young = document["series"]["tenant-2"]
    assert young["trust"] == "cold"
    assert "an outlook needs 8" in young["trust_reason"]
    assert young["mean"] is None
    assert young["past"]["mean"][0] is None
    assert young["past"]["mean"][-1] > 0


def test_who_has_left_is_no_part_of_the_weeks_ahead_of_the_sum(tmp_path):
    grid = days_before("2026-06-08", 7 * WEEKS, zone=ZONE)
    rates = office_rates(grid, ZONE) * np.array([[1.0], [0.5]])
    values = np.random.default_rng(1).poisson(rates).astype(np.float32)
    values[1, -16 * 24 :] = np.nan
    file = _write(tmp_path / "left.parquet", matrix(grid, values))
    ran = _run("outlook", "--history", file, "--tz", ZONE, "--json")
    assert ran.exit_code == 0, ran.stderr
    told = json.loads(ran.stdout)
    stays = told["series"]["tenant-0"]["mean"]["0.5"]
    assert told["sum"]["mean"]["0.5"] == pytest.approx(stays, rel=0.02)


def test_the_tables_show_the_sum_by_week_and_each_tenant_in_a_line(file):
    ran = _run("outlook", "--history", file, "--tz", ZONE, "--weeks", 4)
    assert ran.exit_code == 0, ran.stderr
    assert "sum of 3 tenants: learning" in ran.stdout
    assert "a week, fading" in ran.stdout
    assert "2026-06-29" in ran.stdout
    assert "2026-07-06" not in ran.stdout
    assert "In week 4" in ran.stdout
    assert "cold" in ran.stdout


def test_the_tenants_of_a_fleet_are_shown_by_week_with_their_sum_alone(file):
    ran = _run("outlook", "--history", file, "--tz", ZONE, "--tenant", "tenant-1", "--tenant", "tenant-0")
    assert "sum of 2 tenants" in ran.stdout
    assert ran.stdout.count("2026-08-31") == 3
    assert "no trend that held-out weeks bear out" in ran.stdout
    one = _run("outlook", "--history", file, "--tz", ZONE, "--tenant", "tenant-1")
    assert "sum" not in one.stdout
    assert one.stdout.count("2026-08-31") == 1


def test_a_narrow_terminal_cuts_no_week_and_no_load_off(tmp_path):
    grid = days_before("2026-06-08", 70)
    path = _write(tmp_path / "load.parquet", matrix(grid, np.full((1, grid.slots), 12_000, np.float32)))
    ran = CliRunner().invoke(app, ["outlook", "--history", str(path)], env={"COLUMNS": "80"})
    assert "2026-08-31" in ran.stdout
    assert "12,000" in ran.stdout
    assert "…" not in ran.stdout


def test_a_tenant_of_the_sums_name_is_not_the_sum(tmp_path):
    grid = days_before("2026-06-08", 70)
    history = matrix(grid, np.full((2, grid.slots), 10, np.float32))
    path = _write(tmp_path / "load.parquet", history)
    frame = pd.read_parquet(path)
    frame["series"] = frame["series"].replace("tenant-1", "sum of 2 tenants")
    frame.to_parquet(path)
    ran = _run("outlook", "--history", path)
    assert "the sum of 2 tenants: learning" in ran.stdout


def test_the_chart_is_one_page_with_escaped_names(tmp_path):
    grid = days_before("2026-06-08", 84)
    history = matrix(grid, office_rates(grid).astype(np.float32)[None])
    path, page = _write(tmp_path / "load.parquet", history), tmp_path / "outlook.html"
    frame = pd.read_parquet(path)
    frame["series"] = "<script>alert(1)</script>"
    frame.to_parquet(path)
    ran = _run("outlook", "--history", path, "--chart", page)
    assert ran.exit_code == 0, ran.stderr
    text = page.read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script src" not in text
    assert "2026-08-31" in text


def test_a_chart_of_a_cold_tenant_still_shows_its_past(tmp_path):
    grid = days_before("2026-06-08", 21)
    path, page = tmp_path / "load.parquet", tmp_path / "outlook.html"
    _write(path, matrix(grid, office_rates(grid).astype(np.float32)[None]))
    ran = _run("outlook", "--history", path, "--chart", page)
    assert ran.exit_code == 0, ran.stderr
    assert "cold: 3 weeks were measured" in page.read_text()
    assert "the level of the last weeks goes on" not in page.read_text()


def test_the_holidays_of_a_country_are_no_fall(tmp_path):
    # Memorial Day, 25 May 2026, and Juneteenth and Independence Day of the year before.
    grid = days_before("2026-06-01", 7 * WEEKS)
    rates = office_rates(grid)
    rates[at_local(grid, "UTC", lambda at: (at.month, at.day) == (5, 25))] = 0
    path = _write(tmp_path / "load.parquet", matrix(grid, rates.astype(np.float32)[None]))
    document = json.loads(_run("outlook", "--history", path, "--country", "US", "--json").stdout)
    levels = document["series"]["tenant-0"]["past"]["mean"]
    assert levels[-1] == pytest.approx(levels[-3], rel=0.02)


def test_without_statsmodels_the_command_says_how_to_install_it(file, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(smoothing, "import_module", missing)
    ran = _run("outlook", "--history", file)
    assert ran.exit_code == 1
    assert "pip install 'calltide[outlook]'" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--weeks", "0"), 2, "--weeks"),
        (("--weeks", "500"), 2, "--weeks"),
        (("--tz", "New York"), 2, "IANA"),
        (("--tenant", "tenant-7"), 5, "Did you mean"),
        (("--value-column", "call"), 3, "there is no column 'call'"),
        (("--chart", "/nowhere/at/all.html"), 2, "--chart"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(file, arguments, code, message):
    ran = _run("outlook", "--history", file, *arguments)
    assert ran.exit_code == code
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr
