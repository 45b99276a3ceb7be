"""Every published forecast is kept, and scored when the truth arrives.

A backtest says how a model would have done; this says how the numbers did that fleets were sized by, late data,
restarts and changes of members included. What a forecast said at a handful of leads goes into one small file per
issue. When all that a day's forecasts spoke of is over, its files become one with the truth beside them: settled, so
that its scores stay what they are whatever the source or the members say later.

A killed process loses the newest issue at most: files appear whole or not at all, parts go only after their whole has
come, and where both are there an issue counts once.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from forecasting.archive.keys import DAY_S
from forecasting.archive.segment import SET_ASIDE
from forecasting.archive.store import open_store
from forecasting.errors import ArchiveError, ForecastInputError
from forecasting.forecast import QUANTILES, QuantileForecast
from forecasting.grid import Int64Array
from forecasting.ledger_pages import Page, PageDamagedError, PageName, decode, encode, joined, rounded
from forecasting.ledger_scores import WEEK_S, LedgerScores, Tally, truth_of, values_at
from forecasting.load import LoadMatrix

LEADS_S = (900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600)
"""Leads that are kept besides the first slot: of each the slot that ends then or is the first to end later."""

KEPT_S = 35 * DAY_S
"""Older pages go: five weeks are enough for two weeks of verdicts after a holiday or an outage."""

SETTLED_AFTER_S = LEADS_S[-1] + 3600
"""A day is settled so long after its end: when its last forecast's last slot is over and late samples have come."""

FOLDER = "ledger"
"""Inside the archive: beside the datasets and not among them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Settled:
    """The settled pages that were read, the issues in them, and their sums."""

    names: frozenset[PageName]
    issues: frozenset[int]
    tally: Tally


class Ledger:
    """The published forecasts of one set of series, under an archive's URL.

    `name` is the set's folder. Of each `every_s` of the clock (UTC) the first issue is kept, so that the size is
    bounded however often is forecast. Every method raises ArchiveError where the store cannot be read or written; a
    damaged page is set aside under a name ending in `.corrupt` and counted, its forecasts are no longer scored. One
    object belongs to one thread at a time.

    Raises:
        ArchiveError: the URL's protocol is not known or its driver is not installed.
    """

    def __init__(self, url: str, name: str, every_s: int) -> None:
        self._store = open_store(f"{url.rstrip('/')}/{FOLDER}")
        self._folder = name
        self._every_s = every_s
        self._kept: set[int] | None = None
        self._damaged: dict[str, str] = {}
        self._settled = _Settled(frozenset(), frozenset(), Tally(QUANTILES))

    @property
    def problems(self) -> tuple[str, ...]:
        """Every page that this object has set aside, with the reason, oldest first."""
        return tuple(f"{path}: {reason}" for path, reason in self._damaged.items())

    def publish(self, forecast: QuantileForecast, history: LoadMatrix) -> bool:
        """Keep what is forecast now, if it is due, and settle the days that are over. Says whether it was kept.

        `history` is what the forecast was made from, of the same series: it tells the weekly naive, and the truth of
        days to settle.

        Raises:
            ForecastInputError: the forecast does not begin where the history ends, or has other quantiles than usual.
        """
        grid = history.grid.after(forecast.grid.slots)
        if (forecast.quantiles, forecast.grid, forecast.issued_at_s) != (QUANTILES, grid, grid.start_s):
            raise ForecastInputError(
                f"a forecast of {forecast.quantiles} on {forecast.grid} cannot be kept: it needs {QUANTILES} on {grid}"
            )
        if self._kept is None:
            issued_s = (name.day * DAY_S + name.first_s for name in self._names() if not name.is_settled)
            self._kept = {issue_s // self._every_s for issue_s in issued_s}
        period = forecast.issued_at_s // self._every_s
        if period in self._kept or not forecast.series or not forecast.grid.slots:
            return False
        self._write(_page_of(forecast, history), is_settled=False)
        self._kept.add(period)
        self._tidy(history)
        return True

    def scores(self, load: LoadMatrix) -> LedgerScores:
        """How all that is kept did, for the series of `load`; it has the truth of the days that are not settled yet."""
        names = self._names()
        self._settled = self._with_settled(frozenset(name for name in names if name.is_settled))
        issues, tally = set(self._settled.issues), self._settled.tally.copy()
        for name in names:
            if not name.is_settled and (page := self._read(name)) is not None:
                page = _without(page, issues)
                issues.update(page.issued_s.tolist())
                tally.add(page, truth_of(page, load), is_settled=False)
        return tally.scores(load.series, sorted(issues), len(self._damaged))

    def _with_settled(self, names: frozenset[PageName]) -> _Settled:
        """The sums of all settled pages. A page never changes: only new ones are read, until one is dropped."""
        known = self._settled if self._settled.names <= names else _Settled(frozenset(), frozenset(), Tally(QUANTILES))
        issues = set(known.issues)
        for name in sorted(names - known.names):
            if (page := self._read(name)) is not None:
                page = _without(page, issues)
                issues.update(page.issued_s.tolist())
                known.tally.add(page, page.actual, is_settled=True)
        return _Settled(names, frozenset(issues), known.tally)

    def _tidy(self, history: LoadMatrix) -> None:
        """Settle the days that are over, and drop what is too old or has become part of a settled page."""
        # By what was seen last, not by the clock: one that is a year ahead would settle without a truth and drop all.
        names, now_s = self._names(), int(history.last_observed_s().max(initial=0))
        settled = {name.day for name in names if name.is_settled}
        over = {name.day for name in names if (name.day + 1) * DAY_S + SETTLED_AFTER_S <= now_s}
        for day in sorted(over):
            parts = [name for name in names if name.day == day and not name.is_settled]
            if parts and day not in settled:
                self._settle(parts, history)
            # Only now: until here the parts are what is known.
            for name in parts:
                self._store.remove(f"{self._folder}/{name}")
        for text in self._store.names(self._folder):
            found = PageName.parse(text.removesuffix(SET_ASIDE))
            if found is not None and (found.day + 1) * DAY_S <= now_s - KEPT_S:
                self._store.remove(f"{self._folder}/{text}")
        self._store.sweep(self._folder)

    def _settle(self, parts: Iterable[PageName], history: LoadMatrix) -> None:
        pages = [page for name in parts if (page := self._read(name)) is not None]
        if pages:
            self._write(joined([replace(page, actual=truth_of(page, history)) for page in pages]), is_settled=True)

    def _names(self) -> list[PageName]:
        found = (PageName.parse(text) for text in self._store.names(self._folder))
        return sorted(name for name in found if name is not None and str(name) not in self._damaged)

    def _read(self, name: PageName) -> Page | None:
        path = f"{self._folder}/{name}"
        try:
            return decode(self._store.read(path), name)
        except FileNotFoundError:
            return None  # settled by another process since it was listed
        except PageDamagedError as damage:
            # Remembered by name too, so that where nobody may rename it, it is not looked at again.
            self._damaged[str(name)] = str(damage)
            try:
                self._store.set_aside(path)
            except ArchiveError as error:
                self._damaged[str(name)] += f"; it could not be renamed ({error})"
            return None

    def _write(self, page: Page, *, is_settled: bool) -> None:
        data = encode(page)
        self._store.write(f"{self._folder}/{PageName.of(page, data, is_settled=is_settled)}", data)


def _page_of(forecast: QuantileForecast, history: LoadMatrix) -> Page:
    """One issue at the leads that are kept."""
    slots, leads_s = _leads(forecast.grid.step_s)
    ends_s = forecast.issued_at_s + leads_s
    values = np.full((1, len(forecast.series), slots.size, len(forecast.quantiles)), np.nan, dtype=np.float32)
    ahead = slots < forecast.grid.slots
    values[0, :, ahead] = forecast.values[:, slots[ahead]].transpose(1, 0, 2)
    naive = values_at(history, forecast.series, ends_s[None] - WEEK_S)
    issued_s = np.array([forecast.issued_at_s], dtype=np.int64)
    return Page(
        forecast.series, issued_s, leads_s, forecast.quantiles, rounded(values), naive, np.full_like(naive, np.nan)
    )


def _leads(step_s: int) -> tuple[Int64Array, Int64Array]:
    """Slots ahead that are kept, and when they end, seconds after the issue.

    The same however short the horizon is, so that pages of a day fit together.
    """
    slots = np.array(sorted({0} | {-(-lead_s // step_s) - 1 for lead_s in LEADS_S}), dtype=np.int64)
    return slots, (slots + 1) * step_s


def _without(page: Page, issues: AbstractSet[int]) -> Page:
    """The page without the issues that were counted already."""
    left = np.array([issued_s not in issues for issued_s in page.issued_s.tolist()], dtype=np.bool_)
    if left.all():
        return page
    return replace(
        page,
        issued_s=page.issued_s[left],
        values=page.values[left],
        naive=page.naive[left],
        actual=page.actual[left],
    )
