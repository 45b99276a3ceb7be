"""The windows that levels are learnt from: what would have been forecast for the hours after past origins.

The replay of training looks at a few leads of every horizon; a window needs all of its slots. So the same origins are
forecast once more, for two hours and for a sample of the series, by the finished model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from forecasting.calendar import CivilCalendar
from forecasting.load import LoadMatrix
from forecasting.models.chunks import Part, chunks_of
from forecasting.models.common_fall import CommonFall
from forecasting.models.common_load import CommonLoads
from forecasting.models.learnt import Centre, Learnt, SeriesLearnt, centre
from forecasting.models.level_breaks import at_newest_level, level_breaks
from forecasting.models.replay import Replay, replay_of
from forecasting.models.scale import counts_per_unit, to_counts
from forecasting.models.training_passes import KnownPart, Setting
from forecasting.models.week_layout import FloatArray
from forecasting.models.window_levels import PastWindows, windows_of

_SERIES = 64
_WINDOWS = 12_000
"""Series, and windows in all, that are enough: what is learnt is pooled."""

Lines = Callable[[Centre, SeriesLearnt], FloatArray]
"""A model's lines of some series: events per slot, (series, origins, leads, QUANTILES)."""


def past_windows(
    history: LoadMatrix,
    calendars: Sequence[CivilCalendar],
    learnt: Learnt,
    lines: Lines,
    falls: Sequence[CommonFall] = (),
) -> Iterator[PastWindows]:
    """Windows of a sample of the series, a chunk at a time, as the model that draws these lines would have told them.

    `falls` are taken out.

    Raises:
        ForecastInputError: a calendar names an unknown zone, country or subdivision.
    """
    every = max(1, -(-len(history.series) // _SERIES))
    per_unit = counts_per_unit(history.measure, history.grid.step_s)
    chunks = list(chunks_of(calendars, history.grid))
    common = CommonLoads.of(history, chunks, falls)
    sample = (Part.of(chunk.every(every), history, falls, common.for_chunk(chunk)) for chunk in chunks)
    parts = [at_newest_level(part, level_breaks(part.chunk, part.load, per_unit), per_unit) for part in sample]
    if not parts:
        return
    replay = _replay(parts, history)
    setting = Setting(per_unit, learnt.shapes, replay)
    for part in parts:
        series = learnt.series.rows(part.chunk.rows)
        roots, seen = setting.roots_and_view(KnownPart(part, series.half_width, series.special))
        told = lines(centre(seen, learnt.correction, series.spread, replay.origins, replay.leads), series)
        # In order, as a forecast's are.
        paths: FloatArray = np.maximum.accumulate(told / np.float32(per_unit), axis=-1)
        observed = to_counts(replay.observed(roots)) / np.float32(per_unit)
        yield PastWindows(paths, observed, replay.weights(history.grid.slots))


def _replay(parts: Sequence[Part], history: LoadMatrix) -> Replay:
    """The origins of training, thinned to as many windows as are wanted, with all leads of the longest window."""
    grid, series = history.grid, sum(part.load.shape[0] for part in parts)
    seen = np.any([~np.isnan(part.load).all(axis=0) for part in parts], axis=0)
    replay = replay_of(int(np.argmax(seen)), grid.slots, grid.step_s, len(history.series))
    thinned = max(1, round(replay.origins.size * series / _WINDOWS))
    return replace(replay, origins=replay.origins[::thinned], leads=np.arange(windows_of(grid.step_s)[-1]))
