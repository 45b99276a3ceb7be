"""Methods of others behind the same contract, to be measured against: never used to size anything.

The weekly mean is the floor of every report. The heavy ones come with the optional extra `peers`, and only when asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from forecasting.forecast import Forecaster
from forecasting.models.weekly_mean import WeeklyMean
from forecasting.peers.methods import auto_ets, harmonic, mstl, prophet
from forecasting.peers.per_series import PerSeries

_MEAN = WeeklyMean()

FLOOR = _MEAN.name
"""What every report shows beside the models."""

HEAVY: Mapping[str, Forecaster] = {
    "mstl": PerSeries("mstl", mstl),
    "auto-ets": PerSeries("auto-ets", auto_ets),
    "prophet": PerSeries("prophet", prophet),
    "harmonic": PerSeries("harmonic", harmonic),
}
"""Peers that take seconds for each series and origin. They hold no state."""

PEERS: Mapping[str, Forecaster] = {_MEAN.name: _MEAN, **HEAVY}
"""Every peer by its name."""
