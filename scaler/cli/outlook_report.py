"""An outlook as a JSON document and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from forecasting.civil_time import EPOCH
from forecasting.forecast import Trust
from forecasting.load import Float32Array
from forecasting.models.week_layout import Float64Array
from forecasting.outlook.weekly import Outlook

MOST_SERIES_SHOWN = 20
_SHOWN = (0.5, 0.95)
"""The lines that a table has room for."""


def mondays(first_day: int, weeks: int) -> list[str]:
    """The local days on which the weeks begin."""
    return [(EPOCH + timedelta(days=first_day + 7 * week)).isoformat() for week in range(weeks)]


def trend_sentence(outlook: Outlook, row: int) -> str:
    """What is said of a series' growth."""
    growth = float(outlook.growth[row])
    if growth == 0:
        return "no trend that held-out weeks bear out: the level of the last weeks goes on"
    return f"a trend of {growth:+.2%} a week, fading"


def outlook_document(each: Outlook, total: Outlook | None, names: Sequence[str]) -> dict[str, Any]:
    """The outlook as JSON. Weeks are told by their Mondays; a cold series has no paths, a missing week is null."""
    row_of = {name: row for row, name in enumerate(each.series)}
    return {
        "weeks": mondays(each.first_day, each.mean.shape[1]),
        "past_weeks": mondays(each.past.first_day, each.past.mean.shape[1]),
        "sum": None if total is None else _series_document(total, 0),
        "series": {name: _series_document(each, row_of[name]) for name in names},
    }


def _series_document(outlook: Outlook, row: int) -> dict[str, Any]:
    cold = outlook.trust[row] is Trust.COLD
    return {
        "trust": outlook.trust[row].value,
        "trust_reason": outlook.trust_reasons[row],
        "growth_per_week": round(float(outlook.growth[row]), 5),
        "past": {"mean": _levels(outlook.past.mean[row]), "busy_hour": _levels(outlook.past.busy_hour[row])},
        "mean": None if cold else _lines(outlook, outlook.mean[row]),
        "busy_hour": None if cold else _lines(outlook, outlook.busy_hour[row]),
    }


def _levels(levels: Float64Array) -> list[float | None]:
    return [None if np.isnan(level) else round(float(level), 4) for level in levels]


def _lines(outlook: Outlook, lines: Float32Array) -> dict[str, list[float]]:
    return {
        f"{quantile:g}": lines[:, index].astype(float).round(4).tolist()
        for index, quantile in enumerate(outlook.quantiles)
    }


def print_outlook(
    console: Console, each: Outlook, total: Outlook | None, names: Sequence[str], *, each_by_week: bool
) -> None:
    """Print the sum week by week, and each series so or as a line of an overview."""
    if total is not None:
        _print_weeks(console, total, 0)
    rows = [each.series.index(name) for name in names]
    if each_by_week:
        for row in rows:
            _print_weeks(console, each, row)
        return
    # The largest ones: what else there is, --json tells.
    largest = sorted(rows, key=lambda row: -float(np.nansum(each.past.mean[row])))[:MOST_SERIES_SHOWN]
    left = "" if len(largest) == len(rows) else f", the {len(largest)} largest of {len(rows)}"
    table = Table(*_overview_columns(), title=f"In week {each.mean.shape[1]}{left}", title_justify="left")
    for row in largest:
        table.add_row(*_overview_row(each, row))
    console.print(table)


def _print_weeks(console: Console, outlook: Outlook, row: int) -> None:
    console.print(f"{outlook.series[row]}: {outlook.trust[row].value}, {outlook.trust_reasons[row]}", markup=False)
    if outlook.trust[row] is Trust.COLD:
        return
    console.print(trend_sentence(outlook, row), markup=False)
    # The busy hour is what is ordered for: of the mean two lines are enough, and --json has all.
    few = [outlook.quantiles.index(quantile) for quantile in _SHOWN]
    lines = [f"{quantile:.0%}" for quantile in outlook.quantiles]
    # A date that is cut off tells no week, whatever the width.
    week_from = Column("week from", no_wrap=True)
    table = Table(week_from, *(f"mean {lines[place]}" for place in few), *(f"busy hour {line}" for line in lines))
    for week, monday in enumerate(mondays(outlook.first_day, outlook.mean.shape[1])):
        levels = (*outlook.mean[row, week, few], *outlook.busy_hour[row, week])
        table.add_row(monday, *(_load(float(level)) for level in levels))
    console.print(table)


def _overview_columns() -> list[str]:
    lines = [f"{what} {quantile:.0%}" for what in ("mean", "busy hour") for quantile in _SHOWN]
    return ["series", "trust", "last mean", "last busy hour", *lines, "growth a week"]


def _overview_row(outlook: Outlook, row: int) -> list[str]:
    cells = [escape(outlook.series[row]), outlook.trust[row].value]
    for levels in (outlook.past.mean[row], outlook.past.busy_hour[row]):
        known = levels[~np.isnan(levels)]
        cells.append(_load(float(known[-1])) if known.size else "")
    if outlook.trust[row] is Trust.COLD:
        return cells
    places = [outlook.quantiles.index(quantile) for quantile in _SHOWN]
    cells += [_load(float(lines[row, -1, place])) for lines in (outlook.mean, outlook.busy_hour) for place in places]
    growth = float(outlook.growth[row])
    return [*cells, f"{growth:+.2%}" if growth else "none"]


def _load(load: float) -> str:
    """A load as a table has room for."""
    return f"{load:.1f}" if load < 1000 else f"{load:,.0f}"
