"""Whatever a source or a query is called: its folder name is safe, and it is its own."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forecasting.archive import DatasetKey
from forecasting.load import Measure
from forecasting.sources.protocol import HistoryQuery, RefusedCalls

QUERY = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (channels)", "tenant", "up_share", 0.9)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@settings(derandomize=True, deadline=None)
@given(source=names, other=names)
@example(source="..", other=".")
@example(source="A", other="a")
@example(source="a/b", other="a\\b")
@example(source="CON", other="x" * 300)
def test_folder_names_are_safe_and_differ_whenever_the_sources_do(source: str, other: str) -> None:
    keys = [DatasetKey.of(name, QUERY, 300) for name in (source, other)]
    for key in keys:
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,90}", key.folder)
        assert DatasetKey.from_json(key.to_json()) == key
    assert (keys[0].folder == keys[1].folder) == (source == other)


def test_whatever_changes_the_numbers_changes_the_dataset() -> None:
    key = DatasetKey.of("default", QUERY, 300)
    changed = [
        DatasetKey.of("default", replace(QUERY, expression="max by (tenant) (channels)"), 300),
        DatasetKey.of("default", replace(QUERY, tenant_label="customer"), 300),
        DatasetKey.of("default", replace(QUERY, completeness=None), 300),
        DatasetKey.of("default", replace(QUERY, minimum_completeness=0.5), 300),
        DatasetKey.of("default", replace(QUERY, measure=Measure.CALL_RATE), 300),
        DatasetKey.of("default", QUERY, 60),
        DatasetKey.of("other", QUERY, 300),
    ]
    assert len({key.folder, *(other.folder for other in changed)}) == 8
    assert DatasetKey.of("default", replace(QUERY), 300) == key


def test_offered_load_is_another_dataset_than_carried_and_than_that_of_another_count() -> None:
    counts = [
        None,
        RefusedCalls("refused", 180),
        RefusedCalls("refused_elsewhere", 180),
        RefusedCalls("refused", 200),
        RefusedCalls("refused", holding_expression="holding"),
        RefusedCalls("refused", 180, retry_share=0.4),
    ]
    keys = {DatasetKey.of("default", replace(QUERY, refused=count), 300).folder for count in counts}
    assert len(keys) == len(counts)


def test_carried_load_that_was_archived_before_refused_calls_were_counted_is_found_again() -> None:
    assert DatasetKey.of("default", QUERY, 300).query == "86824aedca3bfe8b"


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"source": "a", "measure": "?", "step_s": 1, "query": ""}'])
def test_what_is_no_key_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        DatasetKey.from_json(text)
