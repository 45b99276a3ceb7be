"""The models: each behind the one contract `Forecaster`.

`seasonal_profile` is the default, `seasonal_naive` the baseline that it has to beat. The other files are their parts.
"""

from __future__ import annotations

from collections.abc import Mapping

from forecasting.forecast import Forecaster, TrainableForecaster
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.models.seasonal_profile import SeasonalProfile

_PROFILE, _NAIVE = SeasonalProfile(), SeasonalNaive()

MODELS: Mapping[str, Forecaster] = {_PROFILE.name: _PROFILE, _NAIVE.name: _NAIVE}
"""Every model by its name. They hold no state, so that one of each serves all."""

DEFAULT_MODEL = _PROFILE.name
BASELINE_MODEL = _NAIVE.name


def default_forecaster() -> TrainableForecaster:
    """The model that sizes fleets unless somebody asks for another."""
    return _PROFILE
