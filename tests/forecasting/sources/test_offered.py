"""Refused calls beside the carried load: added where they are known, a gap and a word where they are not."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from forecasting.errors import ForecastInputError, HistoryFormatError, SourceConfigurationError, SourceError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from forecasting.sources.offered import read_offered
from forecasting.sources.protocol import HistoryQuery, RefusedCalls

GRID = SlotGrid(0, 300, 3)
NAN = float("nan")
QUERY = HistoryQuery(Measure.CHANNELS, "load", "tenant", "up", 0.8, refused=RefusedCalls("refused", 100.0))
BY_QUERY = replace(QUERY, refused=RefusedCalls("refused", holding_expression="holding"))
LOAD = {"acme": [10.0, 10.0, NAN], "globex": [5.0, 5.0, 5.0]}


class Answers:
    """A source that answers by expression, and remembers what it was asked."""

    def __init__(self, **rows: dict[str, list[float]] | SourceError) -> None:
        self._rows = rows
        self.asked: list[HistoryQuery] = []

    def __call__(self, part: HistoryQuery) -> LoadMatrix:
        self.asked.append(part)
        rows = self._rows[part.expression]
        if isinstance(rows, SourceError):
            raise rows
        values = np.array(list(rows.values()), np.float32).reshape(len(rows), GRID.slots)
        return LoadMatrix(part.measure, tuple(rows), GRID, values)


def offered(query: HistoryQuery, answers: Answers) -> dict[str, list[float]]:
    load = read_offered(query, answers, "source 'main'")
    assert load.measure is query.measure
    return dict(zip(load.series, load.values.tolist(), strict=True))


def test_a_query_without_refused_calls_asks_for_nothing_more() -> None:
    answers = Answers(load=LOAD)
    np.testing.assert_equal(offered(replace(QUERY, refused=None), answers), LOAD)
    assert len(answers.asked) == 1


def test_refused_calls_are_added_slot_by_slot_and_a_gap_of_either_is_a_gap() -> None:
    answers = Answers(load=LOAD, refused={"globex": [0.0, 0.03, NAN], "acme": [0.02, 0.0, 0.02]})
    np.testing.assert_equal(offered(QUERY, answers), {"acme": [12.0, 10.0, NAN], "globex": [5.0, 8.0, NAN]})


def test_completeness_of_the_load_does_not_vouch_for_refusals() -> None:
    # With it, a source that takes vouched silence for zero would take a counter that is away for none refused.
    answers = Answers(load=LOAD, refused={}, holding={})
    offered(BY_QUERY, answers)
    assert [(part.measure, part.completeness) for part in answers.asked] == [
        (Measure.CHANNELS, "up"),
        (Measure.CALL_RATE, None),
        (Measure.CHANNELS, None),
    ]


def test_the_holding_time_may_be_asked_for_and_one_of_zero_is_none() -> None:
    answers = Answers(
        load=LOAD,
        refused={"acme": [0.02, 0.02, 0.02], "globex": [0.0, 0.02, 0.02]},
        holding={"acme": [100.0, 200.0, 200.0], "globex": [NAN, 0.0, 50.0]},
    )
    np.testing.assert_equal(offered(BY_QUERY, answers), {"acme": [12.0, 14.0, NAN], "globex": [5.0, NAN, 6.0]})


def test_a_call_rate_needs_no_holding_time() -> None:
    rate = replace(QUERY, measure=Measure.CALL_RATE, refused=RefusedCalls("refused", retry_share=0.5))
    answers = Answers(load={"acme": [1.0, 1.0, 1.0]}, refused={"acme": [0.5, 0.0, NAN]})
    np.testing.assert_equal(offered(rate, answers), {"acme": [1.25, 1.0, NAN]})


def test_where_nobody_was_observed_nobody_is_asked_for() -> None:
    answers = Answers(load={"acme": [NAN] * 3})
    offered(QUERY, answers)
    assert len(answers.asked) == 1


@pytest.mark.parametrize("fault", [SourceError, SourceConfigurationError, HistoryFormatError])
@pytest.mark.parametrize(
    ("failing", "field"), [("refused", "history.refused.query"), ("holding", "history.refused.holdingTimeQuery")]
)
def test_a_query_that_fails_fails_the_read_and_is_named(fault: type[SourceError], failing: str, field: str) -> None:
    known: dict[str, dict[str, list[float]] | SourceError] = {"load": LOAD, "refused": {"acme": [0.0] * 3}}
    with pytest.raises(fault, match=f"^{field}: source 'main': it broke$"):
        offered(BY_QUERY, Answers(**{**known, failing: fault("source 'main': it broke")}))


def test_channels_without_a_holding_time_are_a_fault_of_the_caller() -> None:
    with pytest.raises(ForecastInputError, match="holding time"):
        offered(replace(QUERY, refused=RefusedCalls("refused")), Answers(load=LOAD, refused={}))


def test_who_is_never_told_is_named_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        offered(QUERY, Answers(load=LOAD, refused={"globex": [0.0, NAN, 0.0]}))
    (told,) = caplog.messages
    assert told == (
        "source 'main': history.refused.query: nothing for 1 of 2 tenants with load (acme), so their slots are gaps; "
        "let it yield a number wherever it is known, a zero too: docs/sources.md, Refused calls"
    )


def test_a_holding_time_is_missed_only_of_who_was_refused(caplog: pytest.LogCaptureFixture) -> None:
    refused = {"acme": [0.0, 0.0, 0.0], "globex": [0.0, 0.01, 0.0]}
    with caplog.at_level(logging.WARNING):
        offered(BY_QUERY, Answers(load=LOAD, refused=refused, holding={}))
    (told,) = caplog.messages
    assert "history.refused.holdingTimeQuery: nothing for 1 of 1 tenants with load (globex)" in told
