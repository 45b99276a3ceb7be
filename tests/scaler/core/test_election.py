"""Two that lead at once: the decisions of the election, with everything that a clock, a network and a pause can do.

The candidates here are the real ones; what is made up is the world between them. Each has a clock of its own that runs
up to 10 % too fast or too slow. A request may hang, be done late or be lost, its answer too, and a candidate may stand
still at any moment and go on as if nothing had been.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import pytest

from scaler.core import election
from scaler.core.election import NOBODY, Candidacy, ElectionTimings, LeaseRecord, term_at

TIMINGS = ElectionTimings()
MOST_DRIFT = 0.1
BORN_S = 1_790_000_000.0


class Store:
    """The API server: one record, and a version that a write must name."""

    def __init__(self) -> None:
        self.record: LeaseRecord | None = None
        self.version = 0

    def write(self, record: LeaseRecord) -> LeaseRecord | None:
        if record.version != ("" if self.record is None else self.record.version):
            return None
        self.version += 1
        self.record = replace(record, version=str(self.version))
        return self.record


@dataclass
class Request:
    """One under way: when it is done at the server and when its answer comes, in true time."""

    wanted: LeaseRecord | None
    sent_own_s: float
    done_s: float
    answered_s: float
    is_done: bool = False
    answer: LeaseRecord | None = None
    conflict: bool = False


class Replica:
    """A candidate with a clock, and at most one request that it waits for."""

    def __init__(self, name: str, speed: float, offset_s: float) -> None:
        self.candidacy = Candidacy(name, f"http://{name}:1", TIMINGS)
        self.speed, self.offset_s = speed, offset_s
        self.waiting: Request | None = None
        self.late: list[Request] = []
        """Writes that were given up, and may still be done."""
        self.acts_from_s = 0.0

    def own_s(self, true_s: float) -> float:
        return self.offset_s + self.speed * true_s

    def leads(self, true_s: float) -> bool:
        return self.candidacy.leads(self.own_s(true_s))


class World:
    """Moves the replicas in small steps of true time, and sees that at most one of them leads."""

    def __init__(self, seed: int, replicas: int = 2) -> None:
        self.chance = random.Random(seed)
        self.store = Store()
        self.now_s = 0.0
        self.replicas = [
            Replica(f"r{n}", 1 + self.chance.uniform(-MOST_DRIFT, MOST_DRIFT), self.chance.uniform(-1e6, 1e6))
            for n in range(replicas)
        ]
        self.terms: list[tuple[str, int]] = []

    def run(self, seconds: float, step_s: float = 0.25) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += step_s
            for replica in self.replicas:
                self._settle(replica)
                if self.now_s >= replica.acts_from_s:
                    self._act(replica)
            if self.chance.random() < 0.002:
                self.store.record = None  # somebody removed it
            self._check()

    def _check(self) -> None:
        leaders = [one for one in self.replicas if one.leads(self.now_s)]
        assert len(leaders) <= 1, f"{[one.candidacy.identity for one in leaders]} lead at once at {self.now_s} s"
        for one in leaders:
            entry = (one.candidacy.identity, one.candidacy.term)
            if not self.terms or self.terms[-1] != entry:
                assert not self.terms or entry[1] > self.terms[-1][1], f"{entry} after {self.terms[-1]}"
                self.terms.append(entry)

    def _settle(self, replica: Replica) -> None:
        for request in [*replica.late, *([replica.waiting] if replica.waiting else [])]:
            if not request.is_done and self.now_s >= request.done_s:
                request.is_done = True
                if request.wanted is None:
                    request.answer = self.store.record
                else:
                    request.answer = self.store.write(request.wanted)
                    request.conflict = request.answer is None
        replica.late = [one for one in replica.late if not one.is_done]

    def _act(self, replica: Replica) -> None:
        own_s = replica.own_s(self.now_s)
        if self.chance.random() < 0.003:
            # A stopped process, or a machine that is suspended; its clock counts on.
            replica.acts_from_s = self.now_s + self.chance.uniform(1, 60)
            return
        request = replica.waiting
        if request is None:
            self._send(replica, own_s, look=not replica.candidacy.is_holder)
        elif request.is_done and self.now_s >= request.answered_s:
            replica.waiting = None
            replica.acts_from_s = self.now_s + TIMINGS.retry_s / replica.speed
            self._take(replica, request, own_s)
        elif own_s - request.sent_own_s > TIMINGS.request_s:
            replica.waiting = None
            if request.wanted is not None:
                replica.late.append(request)

    def _take(self, replica: Replica, request: Request, own_s: float) -> None:
        if request.wanted is None:
            replica.candidacy = replica.candidacy.looked(request.answer, own_s)
            if replica.candidacy.wanted(own_s) is not None:
                self._send(replica, own_s, look=False)
        elif request.conflict:
            self._send(replica, own_s, look=True)
        elif request.answer is not None:
            written = replace(request.wanted, version=request.answer.version)
            replica.candidacy = replica.candidacy.written(written, request.sent_own_s, own_s)

    def _send(self, replica: Replica, own_s: float, *, look: bool) -> None:
        # Every machine's wall clock is about right.
        least_term = term_at(BORN_S + self.now_s)
        wanted = None if look else replica.candidacy.wanted(own_s, least_term=least_term)
        done_s = self.now_s + self._delay_s()
        if self.chance.random() < 0.05:
            done_s = math.inf  # lost on its way there
        answered_s = math.inf if self.chance.random() < 0.05 else done_s + self._delay_s()
        replica.waiting = Request(wanted, own_s, done_s, answered_s)

    def _delay_s(self) -> float:
        return self.chance.choice((0.0, 0.0, 0.05, 0.5, 3.0, 30.0)) * self.chance.random()


def test_no_two_lead_at_one_instant_and_terms_only_rise():
    leaderships = 0
    for seed in range(500):
        world = World(seed, replicas=2 + seed % 2)
        world.run(400)
        leaderships += len(world.terms)
    assert leaderships > 1000, "the worlds must be such that somebody can lead, and that leaders change"


def counterexample() -> str | None:
    for seed in range(400):
        try:
            World(seed).run(400)
        except AssertionError as found:
            return str(found)
    return None


@pytest.mark.parametrize("rule", ["sent", "shorter", "own clock since seen", "vanished"])
def test_each_rule_is_needed(rule, monkeypatch):
    """Without any one of them there is a world in which two lead."""
    if rule == "sent":
        written = Candidacy.written

        def counted_from_the_answer(self, record, sent_s, received_s):
            return written(self, record, received_s, received_s)

        monkeypatch.setattr(Candidacy, "written", counted_from_the_answer)
    elif rule == "shorter":
        monkeypatch.setattr(election, "LARGEST_DEADLINE", 2.0)
        monkeypatch.setitem(globals(), "TIMINGS", ElectionTimings(15, 18, 2))
    elif rule == "own clock since seen":
        looked = Candidacy.looked

        def from_the_first_look(self, record, received_s):
            now = looked(self, record, received_s)
            return now if self.seen_s is None else replace(now, seen_s=self.seen_s)

        monkeypatch.setattr(Candidacy, "looked", from_the_first_look)
    else:
        written = Candidacy.written

        def leads_at_once(self, record, sent_s, received_s):
            return replace(written(self, record, sent_s, received_s), leads_from_s=-math.inf)

        monkeypatch.setattr(Candidacy, "written", leads_at_once)
    assert "lead at once" in (counterexample() or "no world was found")


def held(holder: str = "other", version: str = "7", term: int = 3, lease_s: float = 15) -> LeaseRecord:
    return LeaseRecord(holder, lease_s, term, "http://other:1", version)


US = Candidacy("us", "http://us:1", TIMINGS)


def test_a_lease_is_taken_a_full_duration_after_it_was_seen_to_change_whatever_stands_in_it():
    seen = US.looked(held(), 100.0)
    assert seen.wanted(114.9) is None
    renewed = seen.looked(held(version="8"), 114.0)
    assert renewed.wanted(128.9) is None
    assert renewed.wanted(129.0) == LeaseRecord("us", 15, 4, "http://us:1", "8")


def test_the_holders_own_longer_duration_is_waited_for():
    assert US.looked(held(lease_s=60), 0.0).wanted(59.9) is None
    assert US.looked(held(lease_s=1), 0.0).wanted(14.9) is None


def test_a_lease_that_was_given_back_is_taken_at_once():
    assert US.looked(held(NOBODY), 100.0).wanted(100.0) == LeaseRecord("us", 15, 4, "http://us:1", "7")


def test_who_has_nothing_to_go_on_from_lets_the_others_go_first():
    given_back = US.looked(held(NOBODY), 100.0)
    assert given_back.wanted(114.9, prepared=False) is None
    assert given_back.wanted(115.0, prepared=False) is not None
    assert US.looked(held(), 100.0).wanted(129.9, prepared=False) is None
    assert US.looked(None, 100.0).wanted(100.0, prepared=False) is not None, "where none ever led, none goes first"


def taken(sent_s: float = 0.0, received_s: float | None = None) -> Candidacy:
    """Us as the leader of term 4."""
    seen = US.looked(held(NOBODY), sent_s)
    return seen.written(held("us", "8", 4), sent_s, sent_s if received_s is None else received_s)


def test_an_answer_that_comes_late_prolongs_nothing():
    led = taken(100.0, received_s=104.0)
    assert led.leads(109.9)
    assert not led.leads(110.0)


def test_a_leader_that_is_ousted_stops_at_once():
    assert taken().leads(1.0)
    assert not taken().looked(held("other", "9", 5), 1.0).leads(1.0)


def test_a_leader_whose_lease_was_removed_makes_it_anew_and_leads_on():
    vanished = taken().looked(None, 1.0)
    assert vanished.leads(1.0)
    wanted = vanished.wanted(1.0)
    assert (wanted.version, wanted.term) == ("", 5)
    again = vanished.written(replace(wanted, version="9"), 1.0, 1.1)
    assert again.leads(1.1)
    assert again.leads(10.9)


def test_who_makes_the_lease_leads_only_when_any_leader_of_before_has_stopped():
    absent = US.looked(None, 100.0)
    wanted = absent.wanted(100.0, least_term=70)
    assert (wanted.version, wanted.term) == ("", 78)
    made = absent.written(replace(wanted, version="9"), 100.0, 101.0)
    for at_s in range(102, 116, 2):
        assert not made.leads(at_s)
        renewal = made.wanted(at_s, least_term=80)
        assert renewal.term == 78
        made = made.written(replace(renewal, version=str(at_s)), at_s, at_s)
    assert not made.leads(115.9)
    assert made.leads(116.0)


def test_a_lease_that_was_made_without_an_answer_is_waited_for_just_as_long():
    absent = US.looked(None, 100.0)
    found = absent.looked(held("us", "9", 1), 104.0)
    wanted = found.wanted(104.0, least_term=80)
    assert wanted.term == 88, "others may have led between, unseen"
    made = found.written(replace(wanted, version="10"), 104.0, 104.0)
    assert not made.leads(110.0)
    assert made.written(replace(made.wanted(113.0), version="11"), 113.0, 113.0).leads(119.0)


def test_a_renewal_keeps_the_term_and_each_new_leadership_raises_it():
    assert taken().wanted(2.0).term == 4
    assert taken().wanted(10.0).term == 5, "it was interrupted"
    assert US.looked(held(), 0.0).wanted(15.0).term == 4


def test_who_resigns_leads_no_more_and_gives_back_only_what_is_his():
    stopped, given_back = taken().resigned()
    assert not stopped.leads(0.1)
    assert (given_back.holder, given_back.version, given_back.term) == (NOBODY, "8", 4)
    assert US.looked(held(), 0.0).resigned()[1] is None


@pytest.mark.parametrize(
    ("timings", "why"), [((10, 9, 2), "at most 80%"), ((15, 10, 4), "a third"), ((15, 0, 2), "at most 80%")]
)
def test_times_that_do_not_keep_leaders_apart_are_refused(timings, why):
    with pytest.raises(ValueError, match=why):
        ElectionTimings(*timings)
