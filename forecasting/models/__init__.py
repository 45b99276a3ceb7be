"""The models: each behind the one contract `Forecaster`.

`seasonal_profile` is the default, `seasonal_naive` the baseline that it has to beat. The other files are their parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from forecasting.forecast import Forecaster
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.models.seasonal_profile import SeasonalProfile

MODELS: Mapping[str, Callable[[], Forecaster]] = {
    "seasonal-profile": SeasonalProfile,
    "seasonal-naive": SeasonalNaive,
}
"""Every model by its name."""

DEFAULT_MODEL = "seasonal-profile"


def default_forecaster() -> Forecaster:
    """The model that sizes fleets unless somebody asks for another."""
    return MODELS[DEFAULT_MODEL]()
