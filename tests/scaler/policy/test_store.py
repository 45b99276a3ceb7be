"""What was in force stays in force: while the directory is faulty, and across a restart."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scaler.errors import PolicyError, StateError
from scaler.policy.store import PolicyStore
from tests.scaler.policy.conftest import StandingClock
from tests.scaler.policy.writing import COMPLETE, policy, write

Start = Callable[[], PolicyStore]
GOOD = {"a.yaml": policy("a", COMPLETE + "  minPods: 2\n")}
BETTER = {"a.yaml": policy("a", COMPLETE + "  minPods: 3\n"), "b.yaml": policy("b")}
BAD = {"a.yaml": policy("a", COMPLETE + "  minPods: x\n"), "b.yaml": policy("b")}


def test_a_changed_directory_is_taken_at_the_next_refresh(files: Path, start: Start):
    write(files, GOOD)
    store = start()
    assert not store.refresh()
    write(files, BETTER)
    assert store.book.names == ("a",)
    assert store.refresh()
    assert store.book.names == ("a", "b")
    assert store.book.resolve("a").min_pods == 3


def test_an_unchanged_directory_costs_no_work_and_no_write(
    files: Path, state: Path, start: Start, monkeypatch: pytest.MonkeyPatch
):
    write(files, GOOD)
    store = start()
    store.in_force("voice/acme", "a", store.book.resolve("a"))
    store.refresh()
    before = {path: path.stat().st_mtime_ns for path in (state / "policies").iterdir()}
    monkeypatch.delattr("scaler.policy.store.compile_reading")
    assert not store.refresh()
    assert {path: path.stat().st_mtime_ns for path in (state / "policies").iterdir()} == before


def test_one_fault_rejects_the_whole_directory_until_it_is_mended(files: Path, start: Start, clock: StandingClock):
    write(files, GOOD)
    store = start()
    write(files, BAD)
    clock.now += 60
    assert not store.refresh()
    assert store.book.names == ("a",)
    assert [str(problem) for problem in store.rejected] == [
        f"{files}/a.yaml:7: spec.minPods: 'x' is not a whole number. Write it in digits, without a unit."
    ]
    clock.now += 60
    write(files, {**BAD, "c.yaml": "x"})
    store.refresh()
    assert store.rejected_since_s == clock.now - 60
    write(files, GOOD)
    assert not store.refresh()
    assert (store.rejected, store.rejected_since_s) == ((), None)


def test_what_was_in_force_survives_a_restart_with_a_faulty_directory(files: Path, start: Start):
    write(files, BETTER)
    start()
    write(files, BAD)
    store = start()
    assert store.book.names == ("a", "b")
    assert str(store.book.origin_of("a", "minPods")) == f"{files}/a.yaml:7"
    assert store.rejected
    write(files, GOOD)
    assert store.refresh()
    assert not store.rejected


@pytest.mark.parametrize("lose", [shutil.rmtree, lambda files: write(files, {}), lambda files: write(files, {"a": ""})])
def test_a_lost_mount_takes_no_policy_away(files: Path, start: Start, lose: Callable[[Path], object]):
    write(files, GOOD)
    store = start()
    lose(files)
    assert not store.refresh()
    assert store.book.names == ("a",)
    assert store.rejected
    assert start().book.names == ("a",)


@pytest.mark.parametrize("content", [{}, {"a.yaml": "x: ["}, BAD])
def test_a_first_start_needs_valid_policies(files: Path, start: Start, content: dict[str, str]):
    write(files, content)
    with pytest.raises(PolicyError) as error:
        start()
    assert error.value.problems


def test_a_first_start_without_the_directory_says_what_to_do(start: Start):
    with pytest.raises(PolicyError, match="Create it with at least one policy, or name another directory"):
        start()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff", b"[1]", b"null", b'{"specs": {}, "fleets": {"a": 1}}', b"[" * 9999]
)
@pytest.mark.parametrize("name", ["accepted.json", "fleets.json"])
def test_a_damaged_state_file_does_not_stop_a_start(files: Path, state: Path, start: Start, name: str, damage: bytes):
    write(files, GOOD)
    store = start()
    store.in_force("voice/acme", "a", store.book.resolve("a"))
    store.refresh()
    (state / "policies" / name).write_bytes(damage)
    assert start().book.names == ("a",)
    if name == "fleets.json" and damage != b"null":
        assert (state / "policies" / "fleets.json.damaged").read_bytes() == damage


def test_a_damaged_copy_beside_a_faulty_directory_tells_the_directorys_faults(files: Path, state: Path, start: Start):
    write(files, GOOD)
    start()
    write(files, BAD)
    (state / "policies" / "accepted.json").write_text('[{"file": "a.yaml", "text": "x"}]')
    with pytest.raises(PolicyError, match=r"spec\.minPods: 'x' is not a whole number"):
        start()
    assert (state / "policies" / "accepted.json.damaged").exists()


def test_a_full_disk_keeps_nobody_from_the_new_policies_and_is_tried_again(
    files: Path, start: Start, monkeypatch: pytest.MonkeyPatch
):
    write(files, GOOD)
    store = start()
    write(files, BETTER)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(StateError, match=r"No space left on device.*Check space and permissions"):
            store.refresh()
    assert store.book.names == ("a", "b")
    assert not store.refresh()
    write(files, {})
    assert start().book.names == ("a", "b")


def test_a_store_that_was_not_loaded_says_so(files: Path, state: Path, clock: StandingClock):
    with pytest.raises(PolicyError, match="load"):
        _ = PolicyStore(files, state, clock).book
