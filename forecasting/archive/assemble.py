"""How segments become one matrix, and the one rule for slots that were written more than once.

The rule: the newer write wins in each slot in which it has an observation; a gap never erases what was observed.
So a late sample corrects, and a source that has forgotten its past takes nothing away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from forecasting.archive.coverage import Coverage, Span
from forecasting.archive.keys import DAY_S
from forecasting.archive.segment import Segment
from forecasting.grid import SlotGrid
from forecasting.load import Float32Array, LoadMatrix, Measure


def overlay(onto: Float32Array, newer: Float32Array) -> None:
    """Apply the rule in place; both have the same shape."""
    np.copyto(onto, newer, where=~np.isnan(newer))


def columns_of(grid: SlotGrid, span: Span) -> slice:
    """The grid's columns inside the span."""
    first = max(0, -(-(span.start_s - grid.start_s) // grid.step_s))
    return slice(first, max(first, min(grid.slots, (span.end_s - grid.start_s) // grid.step_s)))


def assemble(
    measure: Measure,
    grid: SlotGrid,
    days: Mapping[int, Sequence[Segment]],
    previous: LoadMatrix | None,
    kept_days: Iterable[int],
    workers: int,
) -> LoadMatrix:
    """One matrix on the grid: `kept_days` from the previous one, the others from their segments, oldest first.

    Series are sorted by name; one that was observed nowhere on the grid has no row.
    """
    names = {name for segments in days.values() for segment in segments for name in segment.series}
    if previous is not None:
        names.update(previous.series)
    series = tuple(sorted(names))
    row_of = {name: row for row, name in enumerate(series)}
    values = np.full((len(series), grid.slots), np.nan, dtype=np.float32)

    if previous is not None:
        rows = _rows(previous.series, series, row_of)
        for span in Coverage.of(Span(day * DAY_S, (day + 1) * DAY_S) for day in kept_days).spans:
            old, new = columns_of(previous.grid, _common(span, grid)), columns_of(grid, span)
            values[rows, new] = previous.values[:, old]

    def fill(segments: Sequence[Segment]) -> None:
        for segment in segments:
            _lay(segment, values, grid, _rows(segment.series, series, row_of))

    # Days share no column, so threads need no lock; each holds the values of one segment at a time.
    _for_each(fill, days.values(), workers)
    seen = _seen(values)
    if not seen.all():
        values = values[seen]
        series = tuple(name for name, is_seen in zip(series, seen.tolist(), strict=True) if is_seen)
    return LoadMatrix(measure, series, grid, values)


def _common(span: Span, grid: SlotGrid) -> Span:
    return Span(max(span.start_s, grid.start_s), min(span.end_s, grid.end_s))


def _lay(segment: Segment, values: Float32Array, grid: SlotGrid, rows: slice | list[int]) -> None:
    span = Span(segment.grid.start_s, segment.grid.end_s)
    newer = segment.values()[:, columns_of(segment.grid, _common(span, grid))]
    columns = columns_of(grid, span)
    merged = values[rows, columns]
    overlay(merged, newer)
    values[rows, columns] = merged


def _rows(names: tuple[str, ...], series: tuple[str, ...], row_of: Mapping[str, int]) -> slice | list[int]:
    return slice(None) if names == series else [row_of[name] for name in names]


def _seen(values: Float32Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    # By blocks, and on only for those of whom nothing was found: nearly all are seen in the oldest slots.
    seen = np.zeros(values.shape[0], dtype=np.bool_)
    rows = np.arange(seen.size)
    for first in range(0, values.shape[1], 256):
        found = ~np.isnan(values[rows, first : first + 256]).all(axis=1)
        seen[rows[found]] = True
        rows = rows[~found]
        if rows.size == 0:
            break
    return seen


def _for_each(work: Callable[[Sequence[Segment]], None], items: Iterable[Sequence[Segment]], workers: int) -> None:
    with ThreadPoolExecutor(workers, thread_name_prefix="archive") as pool:
        for _ in pool.map(work, items):
            pass
