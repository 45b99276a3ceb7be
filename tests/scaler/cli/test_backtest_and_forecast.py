"""`calltide backtest` and `calltide forecast` on small files of one's own."""

import json
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from forecasting.models.weekly_mean import WeeklyMean
from forecasting.peers import PEERS
from forecasting.sources import file as file_source
from forecasting.sources.tables import read_rows
from scaler.cli.exit_codes import ExitCode
from scaler.cli.main import app
from tests.forecasting.histories import days_before, matrix, office, office_rates

NEW_YORK = "America/New_York"
FIGURES = {"wape", "pin50", "pin90", "pin95", "pin99", "coverage95", "first_hour_wape"}


def _run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _write(path, history):
    times = pd.to_datetime(history.grid.starts_s, unit="s", utc=True)
    frames = [pd.DataFrame({"series": name, "ts": times, "value": history.row(name)}) for name in history.series]
    pd.concat(frames).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Five weeks of two tenants, in the local time of New York and without an offset."""
    history = office(days_before("2026-06-08", 35, zone=NEW_YORK), NEW_YORK, series=2)
    local = pd.to_datetime(history.grid.starts_s, unit="s", utc=True).tz_convert(NEW_YORK).tz_localize(None)
    frames = [pd.DataFrame({"tenant": name, "at": local, "calls": history.row(name)}) for name in history.series]
    path = tmp_path_factory.mktemp("histories") / "samples.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Three weeks of calls of four minutes or so, a row per call."""
    grid = days_before("2026-06-08", 21)
    rng = np.random.default_rng(3)
    hours = np.repeat(grid.starts_s, rng.poisson(office_rates(grid, busy=60, quiet=2)))
    starts = pd.to_datetime(hours + rng.uniform(0, 3600, hours.size), unit="s", utc=True)
    frame = pd.DataFrame({"series": "acme", "ts": starts, "seconds": rng.lognormal(5.3, 0.6, hours.size)})
    path = tmp_path_factory.mktemp("histories") / "calls.parquet"
    frame.to_parquet(path)
    return path


COLUMNS = ("--series-column", "tenant", "--time-column", "at", "--value-column", "calls", "--tz", NEW_YORK)


def test_a_backtest_prints_one_json_document_with_every_figure(samples):
    ran = _run("backtest", "--history", samples, *COLUMNS, "--country", "US", "--horizon", "24h", "--json")
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["pooled"].keys() >= FIGURES
    assert set(document["series"]) == {"tenant-0", "tenant-1"}
    assert document["series"]["tenant-0"].keys() >= FIGURES
    assert document["pooled"] == document["models"]["seasonal-profile"]["pooled"]
    assert document["pooled"]["wape"] < document["models"]["seasonal-naive"]["pooled"]["wape"] < 0.5
    assert document["step_s"] == 3600
    assert document["run_seconds"] > 0
    assert document["peak_memory_mb"] > 0


def test_local_times_are_read_in_the_zone_that_is_named(samples):
    right, wrong = (
        json.loads(_run("forecast", "--history", samples, *COLUMNS[:-1], zone, "--horizon", "24h", "--json").stdout)
        for zone in (NEW_YORK, "Europe/Berlin")
    )
    assert right["issued_at_s"] - wrong["issued_at_s"] == timedelta(hours=6).total_seconds()


def test_a_backtest_of_one_model_shows_a_table_of_it_alone(samples):
    ran = _run("backtest", "--history", samples, *COLUMNS, "--model", "seasonal-naive", "--window", "4d")
    assert ran.exit_code == 0, ran.stderr
    assert "seasonal-naive" in ran.stdout
    assert "seasonal-profile" not in ran.stdout
    assert "tenant-1" in ran.stdout


def test_holidays_and_ordinary_days_are_told_apart(samples):
    # Memorial Day, 25 May 2026, lies in the window.
    arguments = ("backtest", "--history", samples, *COLUMNS, "--model", "seasonal-naive", "--window", "14d")
    document = json.loads(_run(*arguments, "--country", "US", "--json").stdout)
    scored = document["models"]["seasonal-naive"]
    assert scored["ordinary"]["slots"] + scored["special"]["slots"] == scored["pooled"]["slots"]
    assert scored["special"]["slots"] > 0
    assert "Holidays" in _run(*arguments, "--country", "US").stdout
    assert "Holidays" not in _run(*arguments).stdout


def test_a_slow_peer_gets_few_cells_and_the_others_are_scored_there_too(samples, monkeypatch):
    monkeypatch.setitem(PEERS, "mstl", WeeklyMean("mstl"))
    arguments = ("backtest", "--history", samples, *COLUMNS, "--model", "seasonal-naive", "--model", "mstl")
    document = json.loads(_run(*arguments, "--json").stdout)
    assert document["models"].keys() == {"seasonal-naive"}
    models = document["subset"]["models"]
    assert models.keys() == {"seasonal-naive", "mstl"}
    assert models["mstl"]["pooled"]["slots"] == models["seasonal-naive"]["pooled"]["slots"]
    assert 4 < document["subset"]["origins"] <= 12
    assert "The same 2 series at the same" in _run(*arguments).stdout


def test_the_chart_is_one_page_with_escaped_names(tmp_path):
    history = office(days_before("2026-06-08", 28))
    starts = pd.to_datetime(history.grid.starts_s, unit="s", utc=True)
    frame = pd.DataFrame({"series": "<script>alert(1)</script>", "ts": starts, "value": history.values[0]})
    path, page = tmp_path / "samples.csv", tmp_path / "chart.html"
    frame.to_csv(path, index=False)
    ran = _run("backtest", "--history", path, "--model", "seasonal-naive", "--window", "3d", "--chart", page)
    assert ran.exit_code == 0, ran.stderr
    text = page.read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script src" not in text
    assert "<h2>All series</h2>" in text


def test_a_chart_in_no_directory_is_told_before_the_run(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(file_source, "read_rows", lambda *_: pytest.fail("the file was read"))
    ran = _run("backtest", "--history", samples, *COLUMNS, "--chart", tmp_path / "nowhere" / "chart.html")
    assert ran.exit_code == 2
    assert "--chart" in ran.stderr
    assert "does not exist; name a file" in " ".join(ran.stderr.replace("│", "").split())


def test_a_chart_that_cannot_be_written_says_where(samples):
    ran = _run(
        *("backtest", "--history", samples, *COLUMNS, "--model", "seasonal-naive", "--window", "3d"),
        *("--chart", "/dev/full"),
    )
    assert ran.exit_code == 1
    assert "/dev/full" in ran.stderr


def test_a_file_of_calls_becomes_concurrency(calls):
    ran = _run(
        *("backtest", "--history", calls, "--kind", "events", "--duration-column", "seconds"),
        *("--window", "3d", "--step", "15m", "--json"),
    )
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["step_s"] == 900
    assert 1 < document["pooled"]["mean_load"] < 10
    assert document["pooled"]["wape"] < 0.7


def test_a_file_of_calls_is_read_once_and_scored_from_its_calls_too(calls, monkeypatch):
    read = []
    monkeypatch.setattr(file_source, "read_rows", lambda *given: read.append(given) or read_rows(*given))
    ran = _run(
        *("backtest", "--history", calls, "--kind", "events", "--duration-column", "seconds"),
        *("--window", "2d", "--step", "15m", "--json"),
    )
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["model"] == "from-calls"
    assert list(document["models"]) == ["from-calls", "seasonal-profile", "seasonal-naive", "weekly-mean"]
    assert document["models"]["from-calls"]["pooled"]["pin95"] < document["models"]["weekly-mean"]["pooled"]["pin95"]
    assert len(read) == 1


def test_samples_have_no_calls_to_forecast_from(samples):
    ran = _run("backtest", "--history", samples, *COLUMNS, "--model", "from-calls")
    assert ran.exit_code != 0
    assert "from-calls" in ran.stderr


def test_a_forecast_tells_paths_and_trust_of_the_tenants_asked_for(samples):
    ran = _run("forecast", "--history", samples, *COLUMNS, "--horizon", "12h", "--tenant", "tenant-1", "--json")
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    (series,) = document["series"].values()
    assert series["trust"] == "trusted"
    assert len(document["times_s"]) == len(series["quantiles"]["0.95"]) == 12
    assert datetime.fromtimestamp(document["times_s"][0]).minute == 0
    assert series["quantiles"]["0.5"][10] <= series["quantiles"]["0.99"][10]


def test_a_forecast_is_shown_by_the_local_hour(samples):
    ran = _run("forecast", "--history", samples, *COLUMNS, "--horizon", "6h")
    assert "tenant-0: trusted" in ran.stdout
    assert "Mon 2026-06-08 00:00" in ran.stdout


def test_the_sum_of_all_tenants_comes_first_and_is_forecast_by_itself(samples):
    ran = _run("forecast", "--history", samples, *COLUMNS, "--horizon", "6h")
    assert ran.stdout.startswith("sum of 2 tenants: trusted")
    document = json.loads(_run("forecast", "--history", samples, *COLUMNS, "--horizon", "12h", "--json").stdout)
    busy = {quantile: path[10] for quantile, path in document["sum"]["quantiles"].items()}
    parts = [series["quantiles"] for series in document["series"].values()]
    assert busy["0.5"] == pytest.approx(sum(part["0.5"][10] for part in parts), rel=0.05)
    # Bursts of tenants do not come together: their upper lines do not add up.
    assert busy["0.99"] < sum(part["0.99"][10] for part in parts)


def test_one_tenant_has_no_sum(samples):
    only = ("forecast", "--history", samples, *COLUMNS, "--horizon", "6h", "--tenant", "tenant-1")
    assert "sum of" not in _run(*only).stdout
    assert json.loads(_run(*only, "--json").stdout)["sum"] is None


def test_of_many_tenants_the_largest_are_shown_and_the_others_counted(tmp_path):
    grid = days_before("2026-06-08", 3)
    values = np.full((23, grid.slots), 10, np.float32) * np.arange(23, dtype=np.float32)[:, None]
    path = _write(tmp_path / "load.parquet", matrix(grid, values))
    lines = _run("forecast", "--history", path, "--horizon", "1h").stdout.splitlines()
    shown = [line.split(":")[0] for line in lines if line.startswith("tenant-")]
    assert shown == [f"tenant-{row}" for row in range(22, 2, -1)]
    assert lines[-1] == "the 20 largest of 23 tenants; 3 left out, see them by --tenant or --json"


def test_the_sum_is_unknown_while_only_some_of_its_tenants_are_seen(tmp_path):
    # On the first day, a Sunday, who opens later has not begun yet, and the sum is that of the other.
    grid = days_before("2026-06-08", 29)
    history = office(grid, series=2)
    hour = (grid.starts_s // 3600) % 24
    history.values[0, hour < 5] = np.nan
    history.values[1, hour < 7] = np.nan
    path = _write(tmp_path / "desks.parquet", history)
    total = _run("forecast", "--history", path, "--horizon", "24h").stdout.split("tenant-0:")[0]
    assert total.count("closed") == 5
    assert total.count("unknown") == 2


def test_a_cold_forecast_is_no_failure(tmp_path):
    path = tmp_path / "young.csv"
    path.write_text("series,ts,value\nacme,2026-06-08 00:00Z,1\nacme,2026-06-08 00:05Z,2\n")
    ran = _run("forecast", "--history", path)
    assert "acme: cold" in ran.stdout
    assert ran.exit_code == ExitCode.OK
    assert "`cold`" in ExitCode.OK.meaning


def test_a_table_tells_what_its_rows_are(tmp_path, samples):
    grid = days_before("2026-06-08", 14, step_s=300)
    path = _write(tmp_path / "load.parquet", office(grid))
    ran = _run("forecast", "--history", path, "--horizon", "2h")
    rows = [line for line in ran.stdout.splitlines() if "2026-06-08" in line]
    assert len(rows) == 2
    assert "largest 5-minute slot of each hour" in ran.stdout
    assert "load of each slot" in _run("forecast", "--history", samples, *COLUMNS, "--horizon", "2h").stdout


def test_hours_that_no_week_has_shown_are_closed(tmp_path):
    grid = days_before("2026-06-08", 28)
    history = office(grid, series=2)
    hour = (grid.starts_s // 3600) % 24
    history.values[1, (hour < 7) | (hour >= 21)] = np.nan
    path = _write(tmp_path / "desk.parquet", history)
    ran = _run("forecast", "--history", path, "--horizon", "24h", "--tenant", "tenant-1")
    closed = [line for line in ran.stdout.splitlines() if "closed" in line]
    assert len(closed) == 10
    assert "06:00" in closed[6]
    assert "21:00" in closed[7]
    assert "." not in closed[0]
    series = json.loads(_run("forecast", "--history", path, "--horizon", "24h", "--json").stdout)["series"]
    assert series["tenant-1"]["never_observed"] == [h < 7 or h >= 21 for h in range(24)]
    assert not any(series["tenant-0"]["never_observed"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--tz", "New York"), 2, "IANA"),
        (("--country", "Atlantis"), 2, "is not known"),
        (("--country", "US", "--subdivision", "Bavaria"), 2, "no subdivision"),
        (("--horizon", "soon"), 2, "is not a duration"),
        (("--horizon", "0s"), 2, "longer than nothing"),
        (("--model", "seasonal-naiv"), 5, "Did you mean seasonal-naive"),
        (("--value-column", "call"), 3, "there is no column 'call'"),
        (("--window", "1h"), 1, "a longer window"),
        (("--step", "10m"), 3, "one sample per 3600 s"),
    ],
)
def test_a_wrong_option_is_named_with_its_remedy(samples, arguments, code, message):
    ran = _run("backtest", "--history", samples, *COLUMNS, *arguments)
    assert ran.exit_code == code
    assert message in ran.stderr.replace("\n", " ").replace("│", "").replace("  ", " ")
    assert "Traceback" not in ran.stderr


def test_an_unknown_tenant_is_answered_with_near_names(samples):
    ran = _run("forecast", "--history", samples, *COLUMNS, "--tenant", "tenant-7")
    assert ran.exit_code == 5
    assert "tenant-1" in ran.stderr


def test_a_file_without_rows_says_so(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("series,ts,value\n")
    ran = _run("backtest", "--history", path)
    assert ran.exit_code == 3
    assert "empty.csv" in ran.stderr
