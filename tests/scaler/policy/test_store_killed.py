"""kill -9 or a failing disk at any step of the store's writes: the next start has a whole book, the old or the new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scaler.clock import SystemClock
from scaler.errors import PolicyError, StateError
from scaler.policy.confirmations import request, waiting
from scaler.policy.directory import PolicyText, Reading
from scaler.policy.store import PolicyStore
from tests.crash.faults import CrashError, errors, failing, files_no_larger_than, recorded_syncs
from tests.crash.harness import survives_kills
from tests.scaler.policy.writing import COMPLETE, policy, write

FLEETS = [f"voice/f{number}" for number in range(20)]
UNCONFIRMED = "voice/waits-for-ever"
# Large enough that a write is not one page.
PADDING = "# " + "x" * 20_000 + "\n"


@dataclass
class PolicyStoreSubject:
    """Every write changes two policies; all fleets but one are confirmed by another process, each time."""

    root: Path
    _store: PolicyStore | None = field(default=None, repr=False)

    @property
    def state(self) -> Path:
        return self.root / "state"

    def write(self, number: int) -> None:
        write(self.root / "policies", {f"{name}.yaml": text(name, number) for name in "ab"})
        if self._store is None:
            self._store = PolicyStore(self.root / "policies", self.state, SystemClock())
            self._store.load()
        store = self._store
        store.refresh()
        confirm_what_changed(store, self.state)

    def newest(self) -> int:
        """A new process finds no directory at all: what it knows, it knows from the state."""
        store = PolicyStore(self.root / "gone", self.state, SystemClock())
        try:
            store.load()
        except PolicyError:
            return 0
        store.refresh()
        kept = {store.book.resolve(name).min_pods for name in store.book.names}
        assert (store.book.names, len(kept)) == (("a", "b"), 1)
        (number,) = kept
        confirmed = {store.in_force(fleet, "a", store.book.resolve("a")).min_pods for fleet in FLEETS}
        assert len(confirmed) == 1
        assert 1 <= confirmed.pop() <= number
        unconfirmed = store.in_force(UNCONFIRMED, "a", store.book.resolve("a"))
        assert unconfirmed.min_pods == 1, "what was in force at first is lost"
        return number


@pytest.fixture(autouse=True)
def _log_is_no_file() -> Iterator[None]:
    # Where every write to a file fails, so would those of the log that the test runner captures in one.
    with capture_logs():
        yield


def confirm_what_changed(store: PolicyStore, state: Path) -> None:
    for fleet in (*FLEETS, UNCONFIRMED):
        store.in_force(fleet, "a", store.book.resolve("a"))
        store.settle(fleet, "a", store.book.resolve("a"), 9.0)
    store.refresh()
    request(state, [change for change in waiting(state) if change.fleet != UNCONFIRMED])
    store.refresh()


def text(name: str, number: int) -> str:
    return PADDING + policy(name, f"{COMPLETE}  minPods: {number}\n  maxPods: 10000\n")


def test_the_store_survives_sixty_kills(tmp_path: Path):
    PolicyStoreSubject(tmp_path).write(1)
    survives_kills(PolicyStoreSubject(tmp_path), kills=60, seed=4)


@pytest.mark.parametrize("error", errors(), ids=["full", "broken", "death"])
def test_old_or_new_whichever_step_fails(tmp_path: Path, error: BaseException):
    for step in count():
        (tmp_path / str(step)).mkdir()
        subject = PolicyStoreSubject(tmp_path / str(step))
        subject.write(1)
        subject.write(2)
        with failing(step, error) as fault:
            try:
                write_only(subject, 3)
            except (StateError, CrashError):
                pass
            else:
                assert not fault.happened, "a failure that nobody heard of"
        assert PolicyStoreSubject(subject.root).newest() in (2, 3), f"step {step}"
        subject.write(4)
        assert PolicyStoreSubject(subject.root).newest() == 4
        if not fault.happened:
            break
    assert step >= 10, f"only {step} steps were seen: the write goes around them"


def write_only(subject: PolicyStoreSubject, number: int) -> None:
    """The store's part of a write: the files themselves are somebody else's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scaler.policy.store.read_directory", reading_of(subject, number))
        store = subject._store
        assert store is not None
        store.refresh()
        confirm_what_changed(store, subject.state)


def reading_of(subject: PolicyStoreSubject, number: int) -> Callable[[Path], Reading]:
    texts = tuple(PolicyText(f"{subject.root}/policies/{name}.yaml", text(name, number)) for name in "ab")
    return lambda _: Reading(texts, ())


def test_a_write_that_the_kernel_cuts_short_is_an_error_and_the_old_stays(tmp_path: Path):
    subject = PolicyStoreSubject(tmp_path)
    subject.write(1)
    for size in (0, 1, 100, 400):
        with files_no_larger_than(size), pytest.raises(StateError, match="cannot be written"):
            write_only(subject, 2)
        assert PolicyStoreSubject(tmp_path).newest() == 1
    write_only(subject, 2)
    assert PolicyStoreSubject(tmp_path).newest() == 2


def test_content_is_durable_before_the_name_and_the_name_before_the_write_is_acknowledged(tmp_path: Path):
    subject = PolicyStoreSubject(tmp_path)
    subject.write(1)
    with recorded_syncs() as order:
        write_only(subject, 2)
    assert order == ["file", "replace", "folder"] * 4
