"""A change that moves a fleet's need far waits for that fleet, across restarts, until it is confirmed or taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scaler.errors import StateError
from scaler.policy.confirmations import request, waiting
from scaler.policy.model import PolicySpec
from scaler.policy.store import PolicyStore
from tests.scaler.policy.conftest import StandingClock
from tests.scaler.policy.writing import COMPLETE, policy, write

Start = Callable[[], PolicyStore]
FLEET = "voice/acme"
OTHER = "default/globex"


def with_minimum(pods: int, more: str = "") -> dict[str, str]:
    return {"a.yaml": policy("a", f"{COMPLETE}  minPods: {pods}\n{more}")}


def candidate(store: PolicyStore) -> PolicySpec:
    return store.book.resolve("a")


def plan(store: PolicyStore, moved_share: float, fleet: str = FLEET) -> int:
    """What the service does in every planning step; tells the minPods in force."""
    spec = store.in_force(fleet, "a", candidate(store))
    if spec != candidate(store):
        spec = store.settle(fleet, "a", candidate(store), moved_share)
    assert store.in_force(fleet, "a", candidate(store)) == spec
    return spec.min_pods


@pytest.fixture
def store(files: Path, start: Start) -> PolicyStore:
    """A store whose fleet is in force with minPods 2 while the files say 9, which moves its need by 80 %."""
    write(files, with_minimum(2))
    store = start()
    plan(store, 0)
    write(files, with_minimum(9))
    store.refresh()
    assert plan(store, 0.8) == 2
    store.refresh()
    return store


def test_a_fleet_that_is_seen_first_takes_what_the_files_say(files: Path, start: Start):
    write(files, with_minimum(9))
    assert plan(start(), 5.0) == 9


@pytest.mark.parametrize(("moved", "expected"), [(0.0, 9), (0.5, 9), (0.500001, 2), (7.0, 2)])
def test_only_a_change_above_the_share_waits(files: Path, start: Start, moved: float, expected: int):
    write(files, with_minimum(2))
    store = start()
    plan(store, 0)
    write(files, with_minimum(9))
    store.refresh()
    assert plan(store, moved) == expected
    assert (store.pending(FLEET) is not None) == (expected == 2)


def test_the_share_is_that_of_the_policy_in_force(files: Path, start: Start):
    write(files, with_minimum(2))
    store = start()
    plan(store, 0)
    write(files, with_minimum(9, "  guardrails: {confirmChangeAbove: 100}\n"))
    store.refresh()
    assert plan(store, 0.8) == 2


def test_what_waits_tells_the_fields_that_differ_since_when_and_how_far(store: PolicyStore, clock: StandingClock):
    pending = store.pending(FLEET)
    assert pending is not None
    assert [str(change) for change in pending.changes] == ["minPods: 2 → 9"]
    assert (pending.old.min_pods, pending.new.min_pods) == (2, 9)
    assert (pending.fleet, pending.policy, pending.since_s, pending.moved_share) == (FLEET, "a", clock.now, 0.8)
    assert store.all_pending() == (pending,)


def test_sections_and_lists_that_differ_are_told_by_dotted_names(files: Path, start: Start):
    more = "  schedule: [{name: x, cron: 0 8 * * *, for: 90m, minPods: 12}]\n  calendar: {holidays: {country: DE}}\n"
    write(files, with_minimum(2))
    store = start()
    plan(store, 0)
    write(files, with_minimum(2, more))
    store.refresh()
    plan(store, 9)
    pending = store.pending(FLEET)
    assert pending is not None
    changes = {change.field: change for change in pending.changes}
    assert changes["calendar.holidays.country"].new == "DE"
    assert changes["schedule"].old == []
    assert changes["schedule"].new[0]["for"] == "1h30m"


def test_a_change_goes_on_waiting_when_the_night_makes_it_small(store: PolicyStore):
    assert plan(store, 0.0) == 2
    assert store.pending(FLEET) is not None


def test_a_change_that_is_taken_back_in_the_files_no_longer_waits(files: Path, store: PolicyStore):
    write(files, with_minimum(2))
    store.refresh()
    assert plan(store, 0) == 2
    assert store.pending(FLEET) is None


def test_a_policy_that_a_fleet_is_given_back_no_longer_waits_for_the_other(files: Path, start: Start):
    write(files, {**with_minimum(2), "b.yaml": policy("b", f"{COMPLETE}  minPods: 9\n")})
    store = start()
    plan(store, 0)
    assert store.settle(FLEET, "b", store.book.resolve("b"), 0.8).min_pods == 2
    assert store.pending(FLEET) is not None
    assert plan(store, 0) == 2
    assert store.pending(FLEET) is None


def test_a_later_change_is_weighed_afresh(files: Path, store: PolicyStore):
    write(files, with_minimum(3))
    store.refresh()
    assert plan(store, 0.1) == 3
    assert store.pending(FLEET) is None


def test_waiting_and_in_force_survive_a_restart(start: Start, store: PolicyStore):
    before = store.pending(FLEET)
    again = start()
    assert again.pending(FLEET) == before
    assert plan(again, 0.0) == 2


def test_a_change_made_while_the_service_is_down_waits_as_well(files: Path, start: Start):
    write(files, with_minimum(2))
    first = start()
    plan(first, 0)
    first.refresh()
    write(files, with_minimum(9))
    assert plan(start(), 0.8) == 2


@pytest.mark.parametrize("target", [FLEET, "a", None])
def test_a_confirmation_puts_it_in_force_at_once_and_for_good(start: Start, store: PolicyStore, target: str | None):
    assert store.confirm(target) == (FLEET,)
    assert plan(store, 0.8) == 9
    assert plan(start(), 0.8) == 9


def test_a_confirmation_is_for_the_fleets_that_it_names(files: Path, start: Start):
    write(files, with_minimum(2))
    store = start()
    plan(store, 0)
    plan(store, 0, OTHER)
    write(files, with_minimum(9))
    store.refresh()
    assert (plan(store, 0.8), plan(store, 0.8, OTHER)) == (2, 2)
    assert store.confirm("nobody") == ()
    assert store.confirm("globex") == (OTHER,)
    assert (plan(store, 0.8), plan(store, 0.8, OTHER)) == (2, 9)


def test_another_process_confirms_through_the_state_directory(state: Path, start: Start, store: PolicyStore):
    request(state, waiting(state))
    store.refresh()
    assert plan(store, 0.8) == 9
    assert list((state / "policies" / "confirmations").iterdir()) == []
    assert waiting(state) == ()
    assert plan(start(), 0.8) == 9


def test_a_confirmation_left_while_the_service_was_down_is_taken_up(state: Path, start: Start, store: PolicyStore):
    del store
    request(state, waiting(state))
    again = start()
    again.refresh()
    assert plan(again, 0.8) == 9


def test_a_confirmation_never_confirms_a_later_change(files: Path, state: Path, store: PolicyStore):
    shown = waiting(state)
    write(files, with_minimum(50))
    store.refresh()
    plan(store, 3.0)
    request(state, shown)
    store.refresh()
    assert plan(store, 3.0) == 2
    assert list((state / "policies" / "confirmations").iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "5", '{"voice/acme": "x"}', '{"voice/acme": {"a": 1}}', "{"])
def test_a_file_that_is_no_confirmation_confirms_nothing(state: Path, store: PolicyStore, content: str):
    folder = state / "policies" / "confirmations"
    folder.mkdir()
    (folder / "x.json").write_text(content)
    (folder / ".half.json.tmp").write_text("{")
    store.refresh()
    assert plan(store, 0.8) == 2
    store.refresh()
    assert not (folder / "x.json").exists()


def test_a_confirmation_is_deleted_only_when_it_is_on_disk(
    state: Path, start: Start, store: PolicyStore, monkeypatch: pytest.MonkeyPatch
):
    request(state, waiting(state))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(StateError):
            store.refresh()
    assert len(list((state / "policies" / "confirmations").iterdir())) == 1
    again = start()
    again.refresh()
    assert plan(again, 0.8) == 9


def test_fleets_that_are_gone_are_forgotten(start: Start, store: PolicyStore):
    store.forget_all_but({OTHER})
    store.refresh()
    assert start().all_pending() == ()
    assert plan(store, 0.8) == 9


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -0.1])
def test_a_share_that_is_no_share_is_the_callers_fault(store: PolicyStore, share: float):
    with pytest.raises(ValueError, match="moved_share"):
        store.settle(FLEET, "a", candidate(store), share)


def test_thousands_of_fleets_share_their_spec_on_disk(files: Path, state: Path, start: Start):
    write(files, with_minimum(2))
    store = start()
    for number in range(5000):
        store.in_force(f"voice/f{number}", "a", candidate(store))
    store.refresh()
    kept = json.loads((state / "policies" / "fleets.json").read_text())
    assert (len(kept["fleets"]), len(kept["specs"])) == (5000, 1)
    assert (state / "policies" / "fleets.json").stat().st_size < 5000 * 200


def test_waiting_of_a_directory_that_no_service_used_says_so(tmp_path: Path):
    with pytest.raises(StateError, match="no state directory"):
        waiting(tmp_path)
