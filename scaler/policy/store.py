"""What is in force: the policies of the directory as long as they are valid, else the last that were.

The directory is read again every few seconds and taken whole or not at all. What was accepted is kept in the state
directory, so that neither a broken file nor a lost mount takes the policies away, also not across a restart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from threading import RLock

import structlog

from scaler.clock import Clock
from scaler.errors import PolicyError, Problem
from scaler.policy.book import PolicyBook
from scaler.policy.compiling import compile_reading, compile_texts
from scaler.policy.confirmations import KEPT_IN, requests
from scaler.policy.directory import PolicyText, Reading, read_directory
from scaler.policy.kept import DamagedFileError, or_set_aside, read_json, remove, set_aside, write_json
from scaler.policy.model import PolicySpec
from scaler.policy.standing import FILE_NAME, Pending, Standing, read_standings, to_json

_log = structlog.get_logger("policies")

_ACCEPTED = "accepted.json"


class PolicyStore:
    """The policies in force, and each fleet's spec. Any thread may call it; `load` comes first."""

    def __init__(self, directory: Path, state: Path, clock: Clock) -> None:
        self._directory = directory
        self._kept_in = state / KEPT_IN
        self._clock = clock
        self._lock = RLock()
        self._book: PolicyBook | None = None
        self._seen: str | None = None
        self._texts: tuple[PolicyText, ...] = ()
        self._texts_are_kept = False
        self._standings: dict[str, Standing] = {}
        self._standings_are_kept = True
        self.revision = 0
        """Grows with every change of what is in force or waits."""
        self.rejected: tuple[Problem, ...] = ()
        """Why the directory as it is now is not in force; empty when it is."""
        self.rejected_since_s: float | None = None
        """Since when, epoch seconds of the clock."""

    @property
    def book(self) -> PolicyBook:
        """The policies in force.

        Raises:
            PolicyError: nothing has been loaded yet.
        """
        if self._book is None:
            raise PolicyError("The policies have not been loaded yet; call load() first.")
        return self._book

    def load(self) -> None:
        """Read the directory; when it is invalid, use what was kept.

        Raises:
            PolicyError: the directory is invalid, missing or empty, and nothing that can be used was kept.
            StateError: the state directory cannot be read or written. When only the writing failed, the policies are
                in force all the same.
        """
        with self._lock:
            self._standings = or_set_aside(lambda: read_standings(self._kept_in), {})
            reading = read_directory(self._directory)
            try:
                self._accept(compile_reading(reading), reading)
            except PolicyError as error:
                self._use_kept(error)
                self._reject(reading, error)
            self._keep()

    def refresh(self, *, follows: bool = False) -> bool:
        """Read the directory again and take up confirmations; tells whether the policies in force changed.

        A replica that `follows` confirms nothing: what waits is the leader's matter, and copied from there.

        Raises:
            StateError: the state directory cannot be read or written. What was read is in force all the same, and
                the next refresh tries to write again.
        """
        with self._lock:
            reading = read_directory(self._directory)
            changed = reading.fingerprint != self._seen and self._take(reading)
            wishes = {} if follows else requests(self._kept_in)
            for confirmed in wishes.values():
                self._confirm_exactly(confirmed.items())
            self._keep()
            # Only when it is on disk that they were followed.
            for path in wishes:
                remove(path)
            return changed

    def in_force(self, fleet: str, policy: str, candidate: PolicySpec) -> PolicySpec:
        """The spec that sizes a fleet (`namespace/name`) now, given what its policy's files say.

        A fleet that was never seen takes the candidate. A change that was taken back in the files no longer waits.
        Where the result is not the candidate, compare the needs under both and `settle`.
        """
        with self._lock:
            standing = self._standings.get(fleet)
            # Almost always the very same object: thousands of fleets are asked about in every planning step.
            if standing is not None and standing.spec is candidate and standing.pending is None:
                return candidate
            if standing is None or candidate == standing.spec:
                self._stand(fleet, Standing(policy, candidate))
                return candidate
            return standing.spec

    def last_in_force(self, fleet: str, candidate: PolicySpec) -> PolicySpec:
        """The spec that sizes a fleet as far as it is known here, for a follower: nothing is decided by asking."""
        standing = self._standings.get(fleet)
        return candidate if standing is None else standing.spec

    def settle(self, fleet: str, policy: str, candidate: PolicySpec, moved_share: float) -> PolicySpec:
        """Decide about a changed spec; tells which one is in force.

        `moved_share` is how far the candidate moves the fleet's need: |new - old| / old, the largest over the hours
        that are planned, since at night most policies need the same. Up to the `confirmChangeAbove` of the spec in
        force the candidate is taken, beyond it waits. What waits already goes on waiting, however small the
        difference has become meanwhile.

        Raises:
            ValueError: the share is negative or not finite.
        """
        if not math.isfinite(moved_share) or moved_share < 0:
            raise ValueError(f"moved_share is {moved_share}; it must be a finite number, 0 or more")
        with self._lock:
            old = self.in_force(fleet, policy, candidate)
            if old == candidate:
                return candidate
            waits = self._standings[fleet].pending
            if waits is not None and waits.new == candidate:
                return old
            if moved_share <= old.guardrails.confirm_change_above:
                self._stand(fleet, Standing(policy, candidate))
                return candidate
            pending = Pending(fleet, policy, old, candidate, self._clock.now_s(), moved_share)
            self._stand(fleet, Standing(policy, old, pending))
            _log.warning("a policy change waits for confirmation", fleet=fleet, policy=policy, moved_share=moved_share)
            return old

    def pending(self, fleet: str) -> Pending | None:
        """The change of this fleet (`namespace/name`) that waits for confirmation."""
        standing = self._standings.get(fleet)
        return None if standing is None else standing.pending

    def all_pending(self) -> tuple[Pending, ...]:
        """Every change that waits, in the order of the fleets."""
        with self._lock:
            standings = sorted(self._standings.items())
        return tuple(standing.pending for _, standing in standings if standing.pending is not None)

    def confirm(self, target: str | None) -> tuple[str, ...]:
        """Put waiting changes in force: of a fleet, of all fleets of a policy, or with None of all; tells whose.

        Raises:
            StateError: it could not be written down. It is in force all the same.
        """
        with self._lock:
            meant = [change for change in self.all_pending() if change.is_meant_by(target)]
            self._confirm_exactly((change.fleet, change.digest) for change in meant)
            self._keep()
            return tuple(change.fleet for change in meant)

    def standings_json(self) -> bytes:
        """What is in force and what waits for every fleet, for followers."""
        with self._lock:
            content = to_json(self._standings)
        return json.dumps(content).encode()

    def adopt(self, standings: Mapping[str, Standing]) -> None:
        """Take over what a leader has in force and what waits there.

        Raises:
            StateError: it could not be written down. It is taken over all the same.
        """
        with self._lock:
            if standings != self._standings:
                self._standings = dict(standings)
                self._changed()
            self._keep()

    def forget_all_but(self, fleets: Collection[str]) -> None:
        """Drop what is known of fleets that are gone for good. Only for a complete list of those that are there."""
        with self._lock:
            for fleet in self._standings.keys() - set(fleets):
                del self._standings[fleet]
                self._changed()

    def _take(self, reading: Reading) -> bool:
        self._seen = reading.fingerprint
        try:
            book = compile_reading(reading)
        except PolicyError as error:
            self._reject(reading, error)
            return False
        changed = book.fingerprint != self.book.fingerprint
        self._accept(book, reading)
        return changed

    def _accept(self, book: PolicyBook, reading: Reading) -> None:
        self._book, self._seen = book, reading.fingerprint
        self._texts, self._texts_are_kept = reading.texts, False
        self.rejected, self.rejected_since_s = (), None
        _log.info("policies in force", policies=len(book.names), fingerprint=book.fingerprint[:12])

    def _reject(self, reading: Reading, error: PolicyError) -> None:
        self._seen = reading.fingerprint
        self.rejected = error.problems
        if self.rejected_since_s is None:
            self.rejected_since_s = self._clock.now_s()
        for problem in error.problems[:20]:
            _log.error("the policy directory is rejected; what was in force stays in force", problem=str(problem))

    def _use_kept(self, error: PolicyError) -> None:
        nothing: tuple[PolicyText, ...] = ()
        kept = or_set_aside(lambda: _read_texts(self._kept_in / _ACCEPTED), nothing)
        if not kept:
            raise error
        try:
            self._book = compile_texts(kept)
        except PolicyError as second:
            set_aside(self._kept_in / _ACCEPTED, second)
            raise error from second
        self._texts, self._texts_are_kept = kept, True

    def _confirm_exactly(self, wishes: Iterable[tuple[str, str]]) -> None:
        confirmed, dropped = [], []
        for fleet, digest in wishes:
            standing = self._standings.get(fleet)
            if standing is not None and standing.pending is not None and standing.pending.digest == digest:
                self._stand(fleet, Standing(standing.policy, standing.pending.new))
                confirmed.append(fleet)
            else:
                dropped.append(fleet)
        if confirmed:
            _log.info("policy changes were confirmed", fleets=confirmed)
        if dropped:
            _log.warning("a confirmation fits no change that waits; it is dropped", fleets=dropped)

    def _stand(self, fleet: str, standing: Standing) -> None:
        if self._standings.get(fleet) != standing:
            self._changed()
        self._standings[fleet] = standing

    def _changed(self) -> None:
        self._standings_are_kept = False
        self.revision += 1

    def _keep(self) -> None:
        if not self._texts_are_kept:
            texts = [{"file": text.file, "text": text.text} for text in self._texts]
            write_json(self._kept_in / _ACCEPTED, texts)
            self._texts_are_kept = True
        if not self._standings_are_kept:
            write_json(self._kept_in / FILE_NAME, to_json(self._standings))
            self._standings_are_kept = True


def _read_texts(path: Path) -> tuple[PolicyText, ...]:
    content = read_json(path)
    try:
        return tuple(PolicyText(str(entry["file"]), str(entry["text"])) for entry in content or ())
    except (TypeError, KeyError, IndexError) as error:
        raise DamagedFileError(path, error) from None
