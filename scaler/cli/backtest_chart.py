"""A backtest as one page that needs nothing else: what came and what was forecast, and the scores beneath.

The line at a slot is that of the newest forecast of it, which is as old as the last origin: a quarter of a day at most.
Names come from somebody's file and are escaped wherever they are written.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import plotly.graph_objects as graph
from plotly.io import to_html

from forecasting.backtest import QUANTILES, BacktestResult
from forecasting.grid import Int64Array
from forecasting.load import Float32Array, LoadMatrix
from forecasting.scores import Scores
from scaler.cli.backtest_report import figures, largest_series

_STYLE = (
    "body{font-family:sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}td:first-child{text-align:left}"
)


@dataclass(slots=True)
class BacktestChart:
    """Collects the forecasts of one series, and draws them. `row` is the series' place in the history."""

    load: LoadMatrix
    time_zone: str
    row: int
    _paths: dict[str, Float32Array] = field(default_factory=dict)

    @classmethod
    def of_largest(cls, load: LoadMatrix, time_zone: str) -> BacktestChart:
        """A chart of the series with the most load."""
        total = np.nan_to_num(load.values).sum(axis=1, dtype=np.float64)
        return cls(load, time_zone, int(np.argmax(total)) if total.size else 0)

    def add(self, model: str, slots: Int64Array, paths: Float32Array) -> None:
        """Note one forecast: see `forecasting.backtest.Watch`. Later ones replace earlier ones."""
        shape = (self.load.grid.slots, len(QUANTILES))
        known = self._paths.setdefault(model, np.full(shape, np.nan, dtype=np.float32))
        known[slots] = paths[self.row]

    def page(self, outcome: BacktestResult) -> str:
        """The whole page as HTML."""
        name = html.escape(self.load.series[self.row])
        drawing = to_html(self._figure(next(iter(outcome.models))), include_plotlyjs=True, full_html=False)
        tables = [
            _table("All series", {model: scored.pooled for model, scored in outcome.models.items()}),
            _table("Ordinary days", {model: scored.ordinary for model, scored in outcome.models.items()}),
            _table("Holidays", {model: scored.special for model, scored in outcome.models.items()}),
            _table(
                f"The same {outcome.subset_series} series at the same {outcome.subset_origins} origins",
                {model: scored.pooled for model, scored in outcome.subset.items()},
            ),
            _table(f"The largest series, {next(iter(outcome.models))}", largest_series(outcome)),
        ]
        return (
            f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Backtest: {name}</title>"
            f"<style>{_STYLE}</style></head><body><h1>Backtest: {name}</h1>{drawing}{''.join(tables)}</body></html>\n"
        )

    def _figure(self, model: str) -> graph.Figure:
        paths = self._paths[model]
        drawn = np.flatnonzero(~np.isnan(paths).all(axis=1))
        # Closed hours between two slots stay a gap: a line across them would claim load.
        slots = np.arange(drawn[0], drawn[-1] + 1) if drawn.size else drawn
        times = pd.to_datetime(self.load.grid.starts_s[slots], unit="s", utc=True).tz_convert(self.time_zone)
        x = times.tz_localize(None)
        lines = graph.Figure()
        upper = paths[slots, QUANTILES.index(0.95)]
        lines.add_scatter(x=x, y=paths[slots, QUANTILES.index(0.5)], name="median", line={"color": "#1f77b4"})
        lines.add_scatter(
            x=x, y=upper, name="95 %", fill="tonexty", line={"color": "#9ec5e8"}, fillcolor="rgba(31,119,180,0.2)"
        )
        lines.add_scatter(
            x=x, y=self.load.values[self.row, slots], name="what came", line={"color": "#222", "width": 1}
        )
        lines.update_layout(
            title=f"{html.escape(self.load.series[self.row])}, forecast by {model}, {self.time_zone}",
            hovermode="x unified",
            yaxis={"rangemode": "tozero"},
            height=560,
        )
        return lines


def _table(title: str, rows: Mapping[str, Scores]) -> str:
    """One table as HTML; nothing where nothing was scored."""
    scored = {name: figures(scores) for name, scores in rows.items() if scores.slots}
    if not scored:
        return ""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in ["", *next(iter(scored.values()))])
    lines = (
        f"<tr><td>{html.escape(name)}</td>{''.join(f'<td>{figure}</td>' for figure in shown.values())}</tr>"
        for name, shown in scored.items()
    )
    return f"<h2>{html.escape(title)}</h2><table><tr>{head}</tr>{''.join(lines)}</table>"
