"""How a query becomes a LoadMatrix: chunks, slot ends, completeness. The same for Prometheus and Loki.

**Slot ends, said once.** A range query is evaluated at the *ends* of the slots: the value at evaluation time T belongs
to the slot [T - step, T). A query looks back from T (`max_over_time(…[5m])`, `rate(…[5m])`, or an instant selector's
newest sample), so only at its end has it seen the slot; evaluated at the start it would tell of the slot before, and
every forecast would lag by a step. The evaluation times of a grid therefore are start + step, …, end.

**Completeness.** A second query says which share of a tenant's targets was up at the same instants. Where it is below
the minimum, or absent, the slot is a gap: a sum over half of the pods looks like a fall, and is none. A completeness
series without the tenant label speaks for all tenants; where both kinds exist the lower one counts.

**Chunks.** A range is asked for a day at a time, so that neither Prometheus' 11,000 points per series, nor its 50
million samples per query, nor Loki's limits are met by ordinary fleets. A server that still finds a chunk too large
gets its halves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.grid import SlotGrid
from forecasting.load import BoolArray, Float32Array, LoadMatrix
from forecasting.sources.answers import LabelledSeries, by_tenant
from forecasting.sources.protocol import HistoryQuery, SlotStatistic
from forecasting.sources.retrying import AnswerTooLargeError
from forecasting.sources.samples import Float64Array, is_load, slot_values

CHUNK_S = 86400
POINTS_LIMIT = 11_000

FetchRange = Callable[[str, SlotGrid], list[LabelledSeries]]
"""Evaluates an expression at the slot ends of a grid."""
FetchInstant = Callable[[str], list[LabelledSeries]]
"""Evaluates an expression now."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """What was answered for one stretch of slots, shape (slots,) each; `everybody` is the share for all tenants."""

    grid: SlotGrid
    load: dict[str, Float32Array]
    unusable: dict[str, BoolArray]
    own_share: dict[str, Float32Array]
    everybody: Float32Array


def read_range(
    query: HistoryQuery, grid: SlotGrid, fetch: FetchRange, where: str, *, silence_is_zero: bool
) -> LoadMatrix:
    """Load of every tenant on the grid, sorted by tenant.

    With `silence_is_zero`, a tenant without a value in a slot that the completeness query calls complete had no
    load; without a completeness query silence stays a gap.

    Raises:
        SourceError: what `fetch` raises, or an answer that does not fit the query.
    """
    chunks = [chunk for piece in _pieces(grid) for chunk in _read_piece(query, piece, fetch, where)]
    names = {tenant for chunk in chunks for tenant in chunk.load}
    if silence_is_zero:
        names |= {tenant for chunk in chunks for tenant in chunk.own_share}
    tenants = tuple(sorted(names))
    values = np.full((len(tenants), grid.slots), np.nan, dtype=np.float32)
    for chunk in chunks:
        first = grid.index_of(chunk.grid.start_s)
        values[:, first : first + chunk.grid.slots] = _chunk_values(query, chunk, tenants, silence_is_zero)
    return LoadMatrix(query.measure, tenants, grid, values)


def current_values(query: HistoryQuery, fetch: FetchInstant, where: str, *, silence_is_zero: bool) -> dict[str, float]:
    """Load of every tenant now; tenants that could not be measured completely are left out.

    Raises:
        SourceError: what `fetch` raises, or an answer that does not fit the query.
    """
    # An instant is a grid of one slot: the same rules hold for now and for the past.
    now = SlotGrid(0, 1, 1)

    def fetch_at_end(expression: str, grid: SlotGrid) -> list[LabelledSeries]:
        return [LabelledSeries(one.labels, np.array([float(grid.end_s)]), one.values) for one in fetch(expression)]

    load = read_range(query, now, fetch_at_end, where, silence_is_zero=silence_is_zero)
    return {tenant: float(value) for tenant, value in zip(load.series, load.values[:, 0], strict=True) if value >= 0}


def _pieces(grid: SlotGrid) -> Iterator[SlotGrid]:
    per_piece = max(1, min(CHUNK_S // grid.step_s, POINTS_LIMIT))
    for first in range(0, grid.slots, per_piece):
        yield SlotGrid(grid.start_s + first * grid.step_s, grid.step_s, min(per_piece, grid.slots - first))


def _read_piece(query: HistoryQuery, piece: SlotGrid, fetch: FetchRange, where: str) -> list[_Chunk]:
    try:
        return [_read_chunk(query, piece, fetch, where)]
    except AnswerTooLargeError:
        if piece.slots == 1:
            raise
    earlier = SlotGrid(piece.start_s, piece.step_s, piece.slots // 2)
    later = earlier.after(piece.slots - earlier.slots)
    return [chunk for half in (earlier, later) for chunk in _read_piece(query, half, fetch, where)]


def _read_chunk(query: HistoryQuery, grid: SlotGrid, fetch: FetchRange, where: str) -> _Chunk:
    label = query.tenant_label
    load = by_tenant(fetch(query.expression, grid), label, where)
    shares = [] if query.completeness is None else fetch(query.completeness, grid)
    own = by_tenant([one for one in shares if one.labels.get(label)], label, f"{where}: completeness")
    for_all = _on_grid([one for one in shares if not one.labels.get(label)], grid)
    return _Chunk(
        grid,
        load=dict(zip(load, _on_grid(list(load.values()), grid), strict=True)),
        unusable={tenant: _unusable(one, grid) for tenant, one in load.items() if not is_load(one.values).all()},
        own_share=dict(zip(own, _on_grid(list(own.values()), grid), strict=True)),
        everybody=np.fmin.reduce(for_all, axis=0, initial=np.float32(np.nan)),
    )


def _chunk_values(query: HistoryQuery, chunk: _Chunk, tenants: Sequence[str], silence_is_zero: bool) -> Float32Array:
    """Values of these tenants in the chunk with incomplete slots masked, shape (tenants, slots)."""
    unknown = np.full(chunk.grid.slots, np.nan, dtype=np.float32)
    values = _stack([chunk.load.get(tenant, unknown) for tenant in tenants], chunk.grid)
    if query.completeness is None:
        return values
    if silence_is_zero:
        values[np.isnan(values)] = 0.0
        for row, tenant in enumerate(tenants):
            # What was answered but is no load (NaN, negative) stays a gap: only silence is zero.
            if tenant in chunk.unusable:
                values[row, chunk.unusable[tenant]] = np.nan
    # fmin takes the number where the other is NaN: a slot fails by a low share, or when nobody vouches for it.
    shares = np.fmin(_stack([chunk.own_share.get(tenant, unknown) for tenant in tenants], chunk.grid), chunk.everybody)
    with np.errstate(invalid="ignore"):
        # float32 of a share like 0.9 may lie below the float64 that the policy says.
        complete = shares >= np.float32(query.minimum_completeness)
    values[~complete] = np.nan
    return values


def _stack(rows: Sequence[Float32Array], grid: SlotGrid) -> Float32Array:
    return np.array(rows, dtype=np.float32).reshape(len(rows), grid.slots)


def _unusable(one: LabelledSeries, grid: SlotGrid) -> BoolArray:
    """Slots for which something was answered that is no load, shape (slots,)."""
    answered = LabelledSeries(one.labels, one.times_s, (~is_load(one.values)).astype(np.float64))
    unusable: BoolArray = _on_grid([answered], grid)[0] > 0
    return unusable


def _on_grid(series: Sequence[LabelledSeries], grid: SlotGrid) -> Float32Array:
    """Each series' value per slot, shape (series, slots); evaluation time T fills the slot that ends at T."""
    rows = np.repeat(np.arange(len(series), dtype=np.int64), [one.times_s.size for one in series])
    times_s: Float64Array = np.concatenate([one.times_s for one in series]) if series else np.empty(0)
    values: Float64Array = np.concatenate([one.values for one in series]) if series else np.empty(0)
    by_slot, _ = slot_values(rows, times_s - grid.step_s, values, len(series), grid, SlotStatistic.MAXIMUM)
    return by_slot
