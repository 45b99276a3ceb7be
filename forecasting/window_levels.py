"""Which line of a slot the largest load of a whole window stays under.

A window of an hour has twelve chances to lie above a line of five-minute slots, so the largest of its loads lies above
the largest of its 95 % lines more often than 5 times in 100. How much more often hangs on how alike the slots of a
window go: where one error holds for an hour the window counts for a single slot, where every slot errs by itself it
counts for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.grid import Int64Array
from forecasting.quantile_lines import FARTHEST

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WindowLevels:
    """How many slots a window counts for, as learnt from past windows.

    `counts_for` (loads, windows, quantiles): the largest load of a window stays under the largest of the lines at
    1 - (1 - quantile) / n in a share `quantile` of windows. `loads` (loads,) are the loads of a slot for which this was
    learnt, `windows` (windows,) lengths in slots from 1 on, `quantiles` (quantiles,); all rising. A window of one slot
    counts for one, none for more slots than it has. `tail` says how far beyond the last line of a forecast the further
    ones lie, beside those of a normal root of load: bursts go further. It is learnt from busy slots and stretches the
    lines of quiet ones too, of which the counts know.

    Source: n is a window's length times its extremal index, Leadbetter, "Extremes and local dependence in stationary
    sequences", Zeitschrift für Wahrscheinlichkeitstheorie 65 (1983); that n is at most the length is Bonferroni's
    inequality.
    """

    step_s: int
    loads: Float64Array
    windows: Int64Array
    quantiles: Float64Array
    counts_for: Float64Array
    tail: float = 1.0

    def level(self, quantile: float, window_s: float, load: npt.ArrayLike) -> Float64Array:
        """The quantile of a slot's load whose line answers for a window's largest load. Shape of `load`.

        `load` is about as much as is expected in the window's busiest slot. A window between two slots and three
        counts for something between; one that is longer than any that was learnt counts as the longest. Never less
        than `quantile`, and never more than `FARTHEST` unless `quantile` itself is.
        """
        window = np.log(max(window_s / self.step_s, 1.0))
        windows = np.log(self.windows)
        place = int(np.clip(np.searchsorted(windows, window), 1, windows.size - 1))
        share = min(1.0, (window - windows[place - 1]) / (windows[place] - windows[place - 1]))
        counts = np.log(self.counts_for)
        of_window = (1 - share) * counts[:, place - 1] + share * counts[:, place]
        # On the scale of the logarithm of what lies above, neither level nor quantile can overtake the next one.
        rare, rarer = -np.log1p(-quantile), -np.log1p(-self.quantiles)
        of_quantile = np.array([np.interp(rare, rarer, counted) for counted in of_window])
        smallest = np.maximum(np.asarray(load, dtype=np.float64), self.loads[0])
        above = np.exp(-rare - np.interp(np.log(smallest), np.log(self.loads), of_quantile))
        levels: Float64Array = np.maximum(np.minimum(1.0 - above, FARTHEST), quantile)
        return levels
