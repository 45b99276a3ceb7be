"""What Prometheus and Loki answer, as arrays, and the mistakes in a query that show themselves in an answer.

Both speak the same JSON: a list of series, each with its labels and pairs of epoch seconds and a number as text.
A label may hold any character; labels are compared as they are and never become part of a query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.errors import SourceConfigurationError, SourceError
from forecasting.sources.samples import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSeries:
    """One series of an answer: labels, epoch seconds (samples,) and values (samples,)."""

    labels: Mapping[str, str]
    times_s: Float64Array
    values: Float64Array


def decode_series(result: object, *, instant: bool, where: str) -> list[LabelledSeries]:
    """The series of an answer's `result`.

    Raises:
        SourceConfigurationError: the query yields a scalar, a range vector or native histograms.
        SourceError: it is not an answer of this API at all.
    """
    if not isinstance(result, list):
        raise SourceError(f"{where}: the answer holds no list of series; is this the address of the query API?")
    return [_decode_one(entry, instant=instant, where=where) for entry in result]


def _decode_one(entry: object, *, instant: bool, where: str) -> LabelledSeries:
    if not isinstance(entry, dict) or "metric" not in entry:
        raise SourceConfigurationError(
            f"{where}: the query yields no labelled series (a scalar or log lines?); "
            "write a query that yields one series per tenant, like 'sum by (tenant) (…)'"
        )
    if "histogram" in entry or "histograms" in entry:
        raise SourceConfigurationError(
            f"{where}: the query yields native histograms; take histogram_count or a quantile"
        )
    if instant and "value" not in entry:
        raise SourceConfigurationError(f"{where}: the query yields a range; wrap it, like max_over_time(…[5m])")
    try:
        pairs = [entry["value"]] if instant else entry["values"]
        times_s = np.fromiter((float(pair[0]) for pair in pairs), np.float64, len(pairs))
        # The numbers come as text, 'NaN' and '+Inf' included, which float reads as they are meant.
        values = np.fromiter((float(pair[1]) for pair in pairs), np.float64, len(pairs))
    except (KeyError, TypeError, ValueError, IndexError):
        raise SourceError(f"{where}: a series in the answer is malformed") from None
    return LabelledSeries(entry["metric"], times_s, values)


def by_tenant(series: Sequence[LabelledSeries], tenant_label: str, where: str) -> dict[str, LabelledSeries]:
    """The one series of each tenant.

    Raises:
        SourceConfigurationError: a series lacks the label, or a tenant has several series.
    """
    found: dict[str, LabelledSeries] = {}
    for one in series:
        tenant = one.labels.get(tenant_label, "")
        if not tenant:
            raise SourceConfigurationError(
                f"{where}: a series has no label {tenant_label!r}, it has {_names(one)}; "
                f"write 'sum by ({tenant_label}) (…)', or set tenantLabel to the label that names the tenant"
            )
        if tenant in found:
            differing = sorted(
                name
                for name in {*one.labels, *found[tenant].labels}
                if one.labels.get(name) != found[tenant].labels.get(name)
            )
            raise SourceConfigurationError(
                f"{where}: tenant {tenant!r} has several series, which differ in {', '.join(differing) or 'nothing'}; "
                f"write 'sum by ({tenant_label}) (…)' around the query"
            )
        found[tenant] = one
    return found


def _names(series: LabelledSeries) -> str:
    return ", ".join(sorted(series.labels)) or "none"
