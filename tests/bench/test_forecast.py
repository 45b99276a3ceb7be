"""The forecast benchmark shows every model on the same cells, and seconds only where they were spent."""

from bench.forecast import document, markdown
from forecasting.backtest import Subset, backtest
from forecasting.calendar import CivilCalendar
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.models.weekly_mean import WeeklyMean
from tests.forecasting.histories import DAY_S, days_before, office


def test_a_heavy_peer_stands_beside_the_others_on_its_cells_with_its_own_seconds():
    history = office(days_before("2026-06-05", 35), series=3)
    subset = Subset([WeeklyMean("peer")], 2, 3)
    outcome = backtest(history, [CivilCalendar()] * 3, [SeasonalNaive()], window_s=8 * DAY_S, subset=subset)
    every, beside = markdown({"acme": outcome})
    assert "| acme | seasonal-naive | all |" in every
    lines = {line.split(" | ")[1]: line for line in beside.splitlines() if line.startswith("| acme, 2 x 3")}
    assert set(lines) == {"seasonal-naive", "peer"}
    assert lines["seasonal-naive"].endswith("|  |  |  |")
    assert lines["peer"].endswith(f"| {outcome.peak_memory_mb:.0f} |")
    told = document({"acme": outcome})["acme"]
    assert f"{told['subset']['peer']['all']['wape']:.4f}" in lines["peer"]


def test_without_heavy_peers_there_is_one_table():
    history = office(days_before("2026-06-05", 35))
    outcome = backtest(history, [CivilCalendar()], [SeasonalNaive()], window_s=8 * DAY_S)
    assert len(markdown({"acme": outcome})) == 1
