"""What a backtest found, as a JSON document and as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from forecasting.backtest import BacktestResult, ModelResult
from forecasting.scores import Scores

MOST_SERIES_SHOWN = 20


def backtest_document(outcome: BacktestResult) -> dict[str, Any]:
    """The result as JSON: the first model's figures on top, all models' under `models`. Unknown figures are null.

    Heavy peers, and all models on their cells, are under `subset`; it is null without heavy peers.
    """
    models = {name: _model_document(model) for name, model in outcome.models.items()}
    first = next(iter(models))
    return {
        "model": first,
        "pooled": models[first]["pooled"],
        "series": models[first]["series"],
        "models": models,
        "step_s": outcome.step_s,
        "horizon_s": outcome.horizon_s,
        "origins": outcome.origins,
        "first_origin_s": outcome.first_origin_s,
        "last_origin_s": outcome.last_origin_s,
        "run_seconds": round(outcome.run_seconds, 3),
        "peak_memory_mb": round(outcome.peak_memory_mb, 1),
        "subset": {
            "series": outcome.subset_series,
            "origins": outcome.subset_origins,
            "models": {name: _model_document(model) for name, model in outcome.subset.items()},
        }
        if outcome.subset
        else None,
    }


def _model_document(model: ModelResult) -> dict[str, Any]:
    return {
        "pooled": scores_document(model.pooled),
        "ordinary": scores_document(model.ordinary),
        "special": scores_document(model.special),
        "series": {name: scores_document(scores) for name, scores in model.series.items()},
        "run_seconds": round(model.seconds, 3),
        "fit_seconds": round(model.fit_s, 3),
        "forecast_seconds": round(model.forecast_s, 3),
    }


def scores_document(scores: Scores) -> dict[str, float | int | None]:
    """The figures by name; those that are unknown are null."""
    document: dict[str, float | int | None] = {
        "wape": scores.wape,
        **{f"pin{quantile:.0%}".removesuffix("%"): loss for quantile, loss in scores.pinball.items()},
        **{f"coverage{quantile:.0%}".removesuffix("%"): share for quantile, share in scores.coverage.items()},
        "first_slot_wape": scores.first_slot_wape,
        "first_hour_wape": scores.first_hour_wape,
        "bias": scores.bias,
        "mean_load": scores.mean_load,
        "slots": scores.slots,
    }
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in document.items()
    }


def print_tables(console: Console, outcome: BacktestResult, tz: str) -> None:
    """All models on all series, days apart where there are holidays; the largest series; heavy peers on their cells."""
    first, last = (
        datetime.fromtimestamp(at, ZoneInfo(tz)).isoformat(" ", "minutes")
        for at in (outcome.first_origin_s, outcome.last_origin_s)
    )
    console.print(
        _table("model", {name: model.pooled for name, model in outcome.models.items()}, "All series"),
        f"{outcome.series} series, {outcome.origins} origins from {first} to {last}, {outcome.run_seconds:.1f} s, "
        f"peak {outcome.peak_memory_mb:.0f} MB",
        sep="\n",
    )
    if outcome.default.special.slots:
        console.print(
            _table("model", {name: model.ordinary for name, model in outcome.models.items()}, "Ordinary days")
        )
        console.print(_table("model", {name: model.special for name, model in outcome.models.items()}, "Holidays"))
    if outcome.subset:
        title = f"The same {outcome.subset_series} series at the same {outcome.subset_origins} origins"
        console.print(_table("model", {name: model.pooled for name, model in outcome.subset.items()}, title))
    largest = largest_series(outcome)
    if len(outcome.default.series) > 1:
        model = next(iter(outcome.models))
        console.print(_table("series", largest, f"The {len(largest)} largest series, {model}"))


def largest_series(outcome: BacktestResult) -> dict[str, Scores]:
    """The first model's scores of the series with the most load, largest first."""
    by_load = sorted(outcome.default.series.items(), key=lambda item: -_or_nothing(item[1].mean_load))
    return dict(by_load[:MOST_SERIES_SHOWN])


def _or_nothing(load: float) -> float:
    return load if math.isfinite(load) else 0.0


def figures(scores: Scores) -> dict[str, str]:
    """What a table shows, by the name of its column."""
    return {
        "load": f"{scores.mean_load:.4g}",
        "WAPE": f"{scores.wape:.4f}",
        "1st hour": f"{scores.first_hour_wape:.4f}",
        "pin95": f"{scores.pinball[0.95]:.4f}",
        "pin99": f"{scores.pinball[0.99]:.4f}",
        "cover95": f"{scores.coverage[0.95]:.4f}",
    }


def _table(kind: str, rows: Mapping[str, Scores], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column(kind, no_wrap=True, overflow="ellipsis")
    for index, (name, scores) in enumerate(rows.items()):
        shown = figures(scores)
        if index == 0:
            for column in shown:
                table.add_column(column, justify="right", no_wrap=True)
        table.add_row(escape(name), *shown.values())
    return table
