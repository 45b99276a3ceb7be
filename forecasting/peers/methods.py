"""The heavy peers themselves: one function each, with the settings that their authors recommend for two seasons."""

from __future__ import annotations

import logging
import warnings
from statistics import NormalDist
from typing import Any

import numpy as np

from forecasting.peers.optional import library
from forecasting.peers.per_series import Float64Array, Past

_DAILY_PAIRS = 12
_WEEKLY_PAIRS = 20
_ARMA_WEEKS = 3
_SAMPLES = 400
_SEED = 7


def mstl(past: Past, quantiles: tuple[float, ...]) -> Float64Array:
    """Multiple seasonal-trend decomposition with exponential smoothing of the trend, by statsforecast.

    Source: Bandara, Hyndman & Bergmeir, "MSTL: a seasonal-trend decomposition algorithm for time series with multiple
    seasonal patterns", International Journal of Operational Research 52 (2025).
    """
    models = library("statsforecast.models")
    model = models.MSTL(season_length=[past.day, past.week], trend_forecaster=models.AutoETS(model="ZZN"))
    return _from_levels(model, past, quantiles)


def auto_ets(past: Past, quantiles: tuple[float, ...]) -> Float64Array:
    """Exponential smoothing with a daily season on what the mean week leaves over, by statsforecast.

    Source: Hyndman & Khandakar, "Automatic time series forecasting: the forecast package for R", Journal of
    Statistical Software 27 (2008).
    """
    model = library("statsforecast.models").AutoETS(season_length=1, model="ZZN")
    places = np.arange(past.roots.size + past.ahead.size) % past.week
    weeks = np.bincount(places[: past.roots.size], weights=past.roots, minlength=past.week)
    mean = weeks / np.bincount(places[: past.roots.size], minlength=past.week)
    left = Past(past.roots - mean[places[: past.roots.size]], past.times, past.ahead, past.day, past.week)
    return _from_levels(model, left, quantiles) + mean[places[past.roots.size :], None]


def prophet(past: Past, quantiles: tuple[float, ...]) -> Float64Array:
    """Prophet with its daily and weekly seasons.

    Source: Taylor & Letham, "Forecasting at scale", The American Statistician 72 (2018).
    """
    pandas, prophets = library("pandas"), library("prophet")
    for name in ("cmdstanpy", "prophet"):
        logging.getLogger(name).setLevel(logging.WARNING)
    model = prophets.Prophet(yearly_seasonality=False, uncertainty_samples=_SAMPLES)
    before = np.random.get_state()  # noqa: NPY002 - Prophet draws from numpy's global state: it is seeded and put back
    np.random.seed(_SEED)  # noqa: NPY002
    try:
        model.fit(pandas.DataFrame({"ds": past.times, "y": past.roots}), seed=_SEED)
        samples = model.predictive_samples(pandas.DataFrame({"ds": past.ahead}))["yhat"]
    finally:
        np.random.set_state(before)  # noqa: NPY002
    drawn: Float64Array = np.quantile(samples, quantiles, axis=1).T
    return drawn


def harmonic(past: Past, quantiles: tuple[float, ...]) -> Float64Array:
    """Dynamic harmonic regression: waves of day and week by least squares, their errors as ARMA(2, 1) by statsmodels.

    Source: Hyndman & Athanasopoulos, "Forecasting: principles and practice", third edition (2021), chapter 10.5.
    """
    arima = library("statsmodels.tsa.arima.model").ARIMA
    at = np.arange(past.roots.size + past.ahead.size)
    waves = [np.ones((at.size, 1))]
    for period, pairs in ((past.day, _DAILY_PAIRS), (past.week, _WEEKLY_PAIRS)):
        angle = 2 * np.pi * at[:, None] * np.arange(1, min(pairs, (period - 1) // 2) + 1) / period
        waves += [np.sin(angle), np.cos(angle)]
    design = np.hstack(waves)
    known = design[: past.roots.size]
    weights = np.linalg.lstsq(known, past.roots, rcond=None)[0]
    left = (past.roots - known @ weights)[-_ARMA_WEEKS * past.week :]
    with warnings.catch_warnings():
        # Starting values that it could not find are no news: it starts from zeros.
        warnings.simplefilter("ignore")
        ahead = arima(left, order=(2, 0, 1), trend="n").fit(method_kwargs={"maxiter": 50}).get_forecast(past.ahead.size)
    centre = design[past.roots.size :] @ weights + ahead.predicted_mean
    paths: Float64Array = centre[:, None] + ahead.se_mean[:, None] * _normal(quantiles)
    return paths


def _normal(quantiles: tuple[float, ...]) -> Float64Array:
    return np.array([NormalDist().inv_cdf(quantile) for quantile in quantiles])


def _from_levels(model: Any, past: Past, quantiles: tuple[float, ...]) -> Float64Array:
    """Quantiles from the central intervals in which statsforecast answers."""
    levels = {quantile: round(100 * abs(2 * quantile - 1), 6) for quantile in quantiles}
    asked = sorted({level for level in levels.values() if level > 0})
    answer = model.forecast(y=past.roots.astype(np.float32), h=past.ahead.size, level=asked)
    names = [
        "mean" if level == 0 else f"{'hi' if quantile > 0.5 else 'lo'}-{level:g}" for quantile, level in levels.items()
    ]
    keys = {key.replace(".0", ""): key for key in answer}
    paths: Float64Array = np.stack([np.asarray(answer[keys[name]], dtype=np.float64) for name in names], axis=1)
    return paths
