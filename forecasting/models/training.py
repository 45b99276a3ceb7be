"""Learning from rolling origins inside the history: smoothing, coefficients, residual quantiles.

Three passes over the chunks, `training_passes`: habits of all series, the pooled regression from a sample of them, the
residuals of all with what trees can tell of a sample. What a pass needs of those before it is put together in between,
in the order of the chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.fan_out import FanOut, chosen_fan_out
from forecasting.grid import Int64Array
from forecasting.load import LoadMatrix
from forecasting.models.boosted import ResidualRows, learn_boosted
from forecasting.models.chunks import Chunk, Part, chunks_of
from forecasting.models.common_fall import CommonFall
from forecasting.models.common_load import CommonLoads
from forecasting.models.count_law import shrunk_dispersion
from forecasting.models.learnt import Learnt, SeriesLearnt
from forecasting.models.level_breaks import LevelBreaks, at_newest_level
from forecasting.models.regression import Regression
from forecasting.models.replay import replay_of
from forecasting.models.residual_law import ResidualCounts
from forecasting.models.scale import counts_per_unit
from forecasting.models.shapes import CellSums, WeeklyShapes, learn_shapes
from forecasting.models.special_days import SpecialDays, learn_special_days
from forecasting.models.spread import HOURS
from forecasting.models.training_passes import (
    KnownPart,
    Residuals,
    Setting,
    habits_of,
    regressions_of,
    residuals_of,
)

_REGRESSED_SERIES = 256
_SHAPED_SERIES = 512
_BOOSTED_SERIES = 256


def train(history: LoadMatrix, calendars: Sequence[CivilCalendar], falls: Sequence[CommonFall] = ()) -> Learnt:
    """Learn everything that later forecasts of these series use, and nothing from the falls common to many.

    Raises:
        ForecastInputError: a calendar names an unknown zone, country or subdivision.
        FanOutError: the pool that was chosen for it was lost.
    """
    fan_out, series = chosen_fan_out(), len(history.series)
    chunks = list(chunks_of(calendars, history.grid))
    per_unit = counts_per_unit(history.measure, history.grid.step_s)
    common = CommonLoads.of(history, chunks, falls)
    breaks, half_width, special, shapes = _habits(fan_out, history, chunks, falls)

    def known_parts(every: int = 1) -> Iterator[KnownPart]:
        for chunk, of_chunk in zip(chunks, breaks, strict=True):
            part = at_newest_level(Part.of(chunk, history, falls, common.for_chunk(chunk)), of_chunk, per_unit)
            yield KnownPart(part, half_width[chunk.rows], special.rows(chunk.rows)).every(every)

    replay = replay_of(_begun(history), history.grid.slots, history.grid.step_s, series)
    setting = Setting(per_unit, shapes, replay)
    regressions = (Regression(), Regression())
    for first, second in fan_out.map(
        partial(regressions_of, setting=setting), known_parts(_every(series, _REGRESSED_SERIES))
    ):
        regressions = (regressions[0] + first, regressions[1] + second)
    # Each half is judged by the coefficients of the other: residuals of one's own fit would be too small.
    crossed = (regressions[1].solve(), regressions[0].solve())
    judge = partial(residuals_of, setting=setting, crossed=crossed, boosted_every=_every(series, _BOOSTED_SERIES))
    found = _Found(series)
    for chunk, residuals in zip(chunks, fan_out.map(judge, known_parts()), strict=True):
        found.add(chunk, residuals)
    law = found.counts.law()
    return Learnt(
        names=history.series,
        grid=history.grid,
        series=SeriesLearnt(
            half_width,
            special,
            found.spread,
            shrunk_dispersion(found.excess, found.squares),
            found.counted,
        ),
        correction=(regressions[0] + regressions[1]).solve(),
        residuals=law,
        boosted=learn_boosted(ResidualRows.joined(found.rows), law) if found.rows else None,
        shapes=shapes,
    )


class _Found:
    """What the third pass found, of all series."""

    def __init__(self, series: int) -> None:
        self.counts = ResidualCounts()
        self.spread = np.ones((series, HOURS), dtype=np.float32)
        self.excess, self.squares = np.zeros((2, series), dtype=np.float32)
        self.counted = np.zeros(series, dtype=np.bool_)
        self.rows: list[ResidualRows] = []

    def add(self, chunk: Chunk, of_chunk: Residuals) -> None:
        self.counts += of_chunk.counts
        self.spread[chunk.rows] = of_chunk.spread
        self.excess[chunk.rows], self.squares[chunk.rows] = of_chunk.excess, of_chunk.squares
        self.counted[chunk.rows] = of_chunk.counted
        self.rows += of_chunk.rows


def _begun(history: LoadMatrix) -> int:
    """The first slot in which anything was observed, 0 without any."""
    seen = history.observed_by_any()
    return int(np.argmax(seen)) if seen.any() else 0


def _habits(
    fan_out: FanOut, history: LoadMatrix, chunks: Sequence[Chunk], falls: Sequence[CommonFall]
) -> tuple[list[LevelBreaks], Int64Array, SpecialDays, WeeklyShapes | None]:
    """Breaks of each chunk, smoothing (series,), the ways of special days, and typical weeks learnt from a sample."""
    series = len(history.series)
    half_width = np.zeros(series, dtype=np.int64)
    breaks, evidence, cells = [], [], []
    per_unit = counts_per_unit(history.measure, history.grid.step_s)
    look = partial(habits_of, per_unit=per_unit, shaped_every=_every(series, _SHAPED_SERIES))
    parts = (Part.of(chunk, history, falls) for chunk in chunks)
    for chunk, habits in zip(chunks, fan_out.map(look, parts), strict=True):
        breaks.append(habits.breaks)
        half_width[chunk.rows] = habits.half_width
        if habits.special is not None:
            evidence.append(habits.special)
        cells.append(habits.cells)
    shapes = learn_shapes(CellSums.joined(cells)) if cells else None
    return breaks, half_width, learn_special_days(evidence, series), shapes


def _every(series: int, wanted: int) -> int:
    """Every so manieth of the series makes the wanted sample: what is pooled would not change with more."""
    return max(1, -(-series // wanted))
