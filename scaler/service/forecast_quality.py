"""A fleet's part of a dataset's forecasts and ledger, in the words of the web layer."""

from __future__ import annotations

from forecasting.ledger_scores import LEAD_CLASSES_S, LedgerScores
from scaler.service.worker import Forecasts
from scaler.web.state import ForecastQuality, LiveScores


def quality_of(forecasts: Forecasts, fleet: str) -> ForecastQuality:
    """The quality of the forecasts of one fleet, which is among them."""
    fleets, live = forecasts.fleets, forecasts.live.fleets
    row = fleets.series.index(fleet)
    members = fleets.members[row] if fleets.members else ()
    told = (fleets.trust[row], fleets.trust_reasons[row], fleets.model, members)
    problem = forecasts.live.problem
    if live is None:
        return ForecastQuality(*told, problem=problem)
    by_lead = _live_scores(live, live.series.index(fleet)) if fleet in live.series else ()
    since_s, until_s = live.since_s or None, live.until_s or None
    return ForecastQuality(*told, by_lead, live.issues, since_s, until_s, live.set_aside, problem)


def _live_scores(live: LedgerScores, row: int) -> tuple[LiveScores, ...]:
    upper = live.quantiles.index(0.95)
    return tuple(
        LiveScores(
            lead,
            int(live.cells[row, index]),
            *(
                float(part[row, index])
                for part in (
                    live.wape,
                    live.bias,
                    live.pinball[..., upper],
                    live.coverage[..., upper],
                    live.beside_wape,
                    live.naive_wape,
                )
            ),
        )
        for index, lead in enumerate(LEAD_CLASSES_S)
    )
