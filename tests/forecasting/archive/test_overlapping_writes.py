"""Whatever is written, merged and dropped in whatever order: a load is what the one rule says."""

from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.archive import Archive, Snapshot
from tests.forecasting.archive.matrices import DAY_S, GAP, KEY, MIDNIGHT_S, grid, load_of, rows_of

HOURS = 72


@dataclass
class Model:
    """The rule, spelt out slot by slot."""

    observed: dict[tuple[str, int], float] = field(default_factory=dict)
    covered: set[int] = field(default_factory=set)

    def append(self, first: int, rows: dict[str, list[float]], slots: int) -> None:
        self.covered |= set(range(first, first + slots))
        for name, row in rows.items():
            self.observed |= {(name, first + at): value for at, value in enumerate(row) if value == value}

    def drop(self, days: int) -> None:
        self.observed = {place: value for place, value in self.observed.items() if place[1] >= 24 * days}
        self.covered = {hour for hour in self.covered if hour >= 24 * days}

    def rows(self, first: int, slots: int) -> dict[str, list[float | None]]:
        hours = range(first, first + slots)
        names = sorted({name for name, hour in self.observed if hour in hours})
        return {name: [self.observed.get((name, hour)) for hour in hours] for name in names}


value = st.one_of(st.just(GAP), st.integers(0, 200).map(lambda tenths: float(np.float32(tenths / 8))))


@st.composite
def appends(draw: st.DrawFn) -> tuple[str, int, dict[str, list[float]], int]:
    first = draw(st.integers(0, HOURS - 1))
    slots = draw(st.integers(1, min(30, HOURS - first)))
    names = draw(st.lists(st.sampled_from(["acme", "beta", "çedilla 'x'", "delta/4"]), unique=True))
    return "append", first, {name: draw(st.lists(value, min_size=slots, max_size=slots)) for name in names}, slots


windows = st.tuples(st.integers(0, 30), st.integers(0, 60)).map(lambda window: ("look", *window))
steps = st.lists(
    st.one_of(appends(), appends(), windows, st.just(("compact",)), st.tuples(st.just("drop"), st.integers(0, 2))),
    max_size=14,
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(steps=steps)
def test_load_refresh_and_coverage_follow_the_rule(steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        archive, model = Archive(folder), Model()
        snapshot: Snapshot | None = None
        for step in steps:
            match step:
                case "append", first, rows, slots:
                    archive.append(KEY, load_of(first, rows, slots))
                    model.append(first, rows, slots)
                case ("compact",):
                    archive.compact(KEY)
                case "drop", days:
                    archive.drop_before(KEY, MIDNIGHT_S + days * DAY_S)
                    model.drop(days)
                case "look", first, slots:
                    snapshot = archive.refresh(KEY, grid(first, slots), snapshot)
                    assert rows_of(snapshot.load) == model.rows(first, slots)
        assert rows_of(Archive(folder).load(KEY, grid(0, HOURS))) == model.rows(0, HOURS)
        assert rows_of(archive.refresh(KEY, grid(0, HOURS), snapshot).load) == model.rows(0, HOURS)
        spans = archive.coverage(KEY).spans
        covered = {(at - MIDNIGHT_S) // 3600 for span in spans for at in range(span.start_s, span.end_s, 3600)}
        assert covered == model.covered
        assert archive.problems == ()
