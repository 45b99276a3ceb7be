"""What a fleet's forecasts are made of and how they did, as the API tells it."""

from __future__ import annotations

import math

from forecasting.forecast import Trust
from scaler.web.models import Answer
from scaler.web.state import ForecastQuality, LiveScores


class Member(Answer):
    """One part of a forecast."""

    name: str
    weight: float
    """Its share from 0 to 1; the sentence says of what."""
    sentence: str


class LeadScores(Answer):
    """How published forecasts did at some leads. Null where nothing could be scored."""

    lead: str
    """The longest of these leads."""
    cells: int
    """How many values were scored."""
    wape: float | None
    """Weighted absolute percentage error of the median."""
    bias: float | None
    """Sum of median minus load over the sum of load."""
    pinball95: float | None
    """Pinball loss of the 95 % quantile over the mean load."""
    coverage95: float | None
    """Share of slots at or below the 95 % quantile."""
    beside_wape: float | None
    """The WAPE over the cells that the weekly naive has too."""
    naive_wape: float | None
    """The WAPE of the weekly naive over the same cells."""


class MeasureQuality(Answer):
    """How the forecasts of one measure are made and did."""

    trust: Trust
    trust_reason: str
    model: str
    members: list[Member]
    """What the newest forecast is made of; empty where the model does not say."""
    live: list[LeadScores]
    """Scores of the forecasts that were published, by lead; empty until the first is kept."""
    issues: int
    """How many are kept and scored, of the last five weeks."""
    since_s: float | None
    """When the oldest of them was made."""
    until_s: float | None
    set_aside: int
    """Damaged files that are not scored any more."""
    problem: str | None
    """Why forecasts cannot be kept or scored, null when all is well."""


class FleetQuality(Answer):
    """How a fleet's forecasts are made and did."""

    now_s: float
    measures: dict[str, MeasureQuality]
    """Per measure; empty until the first forecast is made."""


def quality_answer(quality: ForecastQuality) -> MeasureQuality:
    """One measure's."""
    return MeasureQuality(
        trust=quality.trust,
        trust_reason=quality.trust_reason,
        model=quality.model,
        members=[
            Member(name=member.name, weight=member.weight, sentence=member.sentence) for member in quality.members
        ],
        live=[_lead_answer(scores) for scores in quality.live],
        issues=quality.issues,
        since_s=quality.since_s,
        until_s=quality.until_s,
        set_aside=quality.set_aside,
        problem=quality.problem,
    )


def _lead_answer(scores: LiveScores) -> LeadScores:
    return LeadScores(
        lead=scores.lead,
        cells=scores.cells,
        wape=_finite(scores.wape),
        bias=_finite(scores.bias),
        pinball95=_finite(scores.pinball95),
        coverage95=_finite(scores.coverage95),
        beside_wape=_finite(scores.beside_wape),
        naive_wape=_finite(scores.naive_wape),
    )


def _finite(value: float) -> float | None:
    # Digits beyond are noise: a page is told a share to a hundredth of a per cent.
    return round(value, 4) if math.isfinite(value) else None
