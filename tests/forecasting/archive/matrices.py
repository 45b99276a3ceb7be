"""Small matrices and a key, for everybody who writes to an archive."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from forecasting.archive import DatasetKey
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure

STEP_S = 3600
DAY_S = 86400
MIDNIGHT_S = 20_000 * DAY_S  # a UTC midnight
KEY = DatasetKey("default", Measure.CHANNELS, STEP_S, "0123456789abcdef")
GAP = float("nan")


def grid(first: int, slots: int) -> SlotGrid:
    """Hours counted from the first midnight."""
    return SlotGrid(MIDNIGHT_S + first * STEP_S, STEP_S, slots)


def load_of(first: int, values: Mapping[str, Sequence[float]], slots: int | None = None) -> LoadMatrix:
    """A row for each name, from this hour on."""
    count = len(next(iter(values.values()))) if slots is None else slots
    array = np.array(list(values.values()), dtype=np.float32).reshape(len(values), count)
    return LoadMatrix(Measure.CHANNELS, tuple(values), grid(first, count), array)


def rows_of(load: LoadMatrix) -> dict[str, list[float | None]]:
    """Name to values, None where nothing was observed: comparable with ==."""
    return {
        name: [None if np.isnan(value) else float(value) for value in row]
        for name, row in zip(load.series, load.values, strict=True)
    }


def segments(root: Path) -> list[Path]:
    """Every segment file of a local archive."""
    return sorted(root.glob("*/*.parquet"))
