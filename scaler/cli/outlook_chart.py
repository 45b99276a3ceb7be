"""An outlook as one page that needs nothing else: the weeks behind, and the lines of the weeks ahead.

Names come from somebody's file and are escaped wherever they are written.
"""

from __future__ import annotations

import html

import plotly.graph_objects as graph
from plotly.io import to_html

from forecasting.forecast import Trust
from forecasting.load import Float32Array
from forecasting.models.week_layout import Float64Array
from forecasting.outlook.weekly import Outlook
from scaler.cli.outlook_report import mondays, trend_sentence

_BLUE, _RED = "31,119,180", "214,39,40"


def outlook_page(outlook: Outlook, series: str | None = None) -> str:
    """The whole page as HTML, of one series; of the first when none is named."""
    row = 0 if series is None else outlook.series.index(series)
    name = html.escape(outlook.series[row])
    drawing = to_html(_figure(outlook, row), include_plotlyjs=True, full_html=False)
    told = [f"{outlook.trust[row].value}: {outlook.trust_reasons[row]}"]
    if outlook.trust[row] is not Trust.COLD:
        told.append(trend_sentence(outlook, row))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Outlook: {name}</title>"
        f"<style>body{{font-family:sans-serif;margin:2em}}</style></head><body><h1>Outlook: {name}</h1>{drawing}"
        f"{''.join(f'<p>{html.escape(sentence)}</p>' for sentence in told)}</body></html>\n"
    )


def _figure(outlook: Outlook, row: int) -> graph.Figure:
    figure = graph.Figure()
    _draw(figure, outlook, "busy hour", _RED, outlook.past.busy_hour[row], outlook.busy_hour[row])
    _draw(figure, outlook, "mean", _BLUE, outlook.past.mean[row], outlook.mean[row])
    figure.update_layout(
        title=f"{html.escape(outlook.series[row])}, by the week from Monday",
        hovermode="x unified",
        yaxis={"rangemode": "tozero"},
        height=560,
    )
    return figure


def _draw(
    figure: graph.Figure, outlook: Outlook, what: str, colour: str, past: Float64Array, lines: Float32Array
) -> None:
    # A missing week stays a gap: a line across it would claim load.
    figure.add_scatter(
        x=mondays(outlook.past.first_day, past.size), y=past, name=what, line={"color": f"rgb({colour})", "width": 1}
    )
    ahead = mondays(outlook.first_day, lines.shape[0])
    for quantile, width in ((0.5, 3), (0.95, 1)):
        figure.add_scatter(
            x=ahead,
            y=lines[:, outlook.quantiles.index(quantile)],
            name=f"{what} {quantile:.0%}",
            fill="tonexty" if quantile > 0.5 else None,
            line={"color": f"rgb({colour})", "width": width},
            fillcolor=f"rgba({colour},0.2)",
        )
