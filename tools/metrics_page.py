"""The page of metrics in the docs, made from the catalogue."""

from __future__ import annotations

from scaler.metrics import CATALOGUE, HORIZONS_S, Metric

_INTRODUCTION = """# Metrics of `calltide`

Scraped from `/metrics`. Besides these there are the usual `process_…` metrics of the main process.

`fleet_namespace` and `fleet` are the namespace and name of a fleet's ScaledObject. An age is a difference of two
timestamps, here the age of each fleet's forecast:

    calltide_clock_timestamp_seconds - on (instance) group_right () calltide_forecast_issued_timestamp_seconds

`calltide_clock_timestamp_seconds` is the time that plans are made by. In a demo it is not the wall clock.
A value that is not known is left out: it is never shown as zero.
"""


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
    return f"| `{metric.full_name}` | {metric.type} | {metric.unit or '-'} | {labels} | {metric.help} |"


def metrics_page() -> str:
    """The table of metrics."""
    horizons = ", ".join(f"`{name}`" for name in HORIZONS_S)
    head = "| metric | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |"
    return f"{_INTRODUCTION}Values of `horizon`: {horizons}.\n\n{head}\n" + "\n".join(map(_row, CATALOGUE)) + "\n"
