"""`calltide forecast` on a file of calls forecasts from the calls, not from their sum."""

import json

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from scaler.cli.main import app
from tests.forecasting.histories import days_before, office_rates


def test_a_file_of_calls_is_forecast_from_its_calls(tmp_path):
    grid = days_before("2026-06-08", 21)
    random = np.random.default_rng(3)
    hours = np.repeat(grid.starts_s, random.poisson(office_rates(grid, busy=60, quiet=2)))
    starts = pd.to_datetime(hours + random.uniform(0, 3600, hours.size), unit="s", utc=True)
    path = tmp_path / "calls.parquet"
    pd.DataFrame({"series": "acme", "ts": starts, "value": random.lognormal(5.3, 0.6, hours.size)}).to_parquet(path)
    ran = CliRunner().invoke(
        app, ["forecast", "--history", str(path), "--kind", "events", "--horizon", "24h", "--json"]
    )
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["model"] == "from-calls"
    assert max(document["series"]["acme"]["quantiles"]["0.95"]) > 0


def test_the_sum_of_two_tenants_is_that_of_their_calls(tmp_path):
    grid = days_before("2026-06-08", 21)
    random = np.random.default_rng(3)
    hours = np.repeat(grid.starts_s, random.poisson(office_rates(grid, busy=60, quiet=2)))
    starts = pd.to_datetime(hours + random.uniform(0, 3600, hours.size), unit="s", utc=True)
    path = tmp_path / "calls.parquet"
    frame = pd.DataFrame({"series": "acme", "ts": starts, "value": random.lognormal(5.3, 0.6, hours.size)})
    frame["series"] = np.where(random.random(hours.size) < 0.3, "globex", "acme")
    frame.to_parquet(path)
    ran = CliRunner().invoke(
        app, ["forecast", "--history", str(path), "--kind", "events", "--horizon", "24h", "--json"]
    )
    assert ran.exit_code == 0, ran.stderr
    document = json.loads(ran.stdout)
    parts = [series["quantiles"]["0.5"] for series in document["series"].values()]
    largest = max(document["sum"]["quantiles"]["0.5"])
    assert max(parts[0]) < largest < 1.2 * max(map(sum, zip(*parts, strict=True)))
