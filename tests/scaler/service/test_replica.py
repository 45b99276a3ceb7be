"""What a follower takes from whoever claims to lead, and what it does not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping

import pytest

from keda_external_scaler.book_file import open_book
from scaler.clock import SystemClock
from scaler.core.plan_book import PlanBook
from scaler.errors import CalltideError, StateError
from scaler.policy.confirmations import noted_leader
from scaler.policy.standing import Pending, Standing, to_json
from scaler.policy.store import PolicyStore
from scaler.service.copies import CopyError
from scaler.service.leadership import Leader, NotLeadingError
from scaler.service.replica import COPY_EVERY_S, FOLLOWS_FOR_S, HAND_OVER_S, address_of
from tests.scaler.service.replica_scene import Scene, Served, answers, copy_of
from tests.servers.keda import ACME, book_of


@pytest.fixture
def scene(tmp_path) -> Scene:
    return Scene(tmp_path)


def test_the_leaders_book_is_taken_over_byte_for_byte(scene):
    scene.copies()
    assert (scene.state / "answers.book").read_bytes() == answers(11)
    assert scene.answers.in_use.written_at_s == book_of().written_at_s
    assert scene.replica.copied_at_s is not None


def test_a_book_that_is_known_does_not_travel_again(scene):
    offer = scene.offered
    scene.copies(offer, offer, offer)
    assert offer.packed_count == 1
    newer = Served(copy_of(answers(12, number=2)), '"2"')
    scene.copies(newer)
    assert scene.told() == 12


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "unseen", "empty", "another version", "answers", "standings", "deep"]
)
def test_a_damaged_copy_replaces_nothing(scene, damage):
    scene.copies()
    good = copy_of(answers(12, number=2))
    broken = {
        "cut": good[:-1],
        "flipped": good[:-1] + bytes([good[-1] ^ 1]),
        # What is left is JSON of the same meaning: only the checksum can tell that something happened on the way.
        "unseen": copy_of(answers(12, number=2), b'{"specs": {}, "fleets": {}} ')[:-1] + b"\n",
        "empty": b"",
        "another version": good.replace(b"calltide copy 1", b"calltide copy 2"),
        "answers": copy_of(answers(12, number=2)[:-1]),
        "standings": copy_of(answers(12, number=2), b'{"specs": {}, "fleets": {"voice/acme": {"policy": "voice"}}}'),
        "deep": copy_of(answers(12, number=2), b"[" * 100_000),
    }
    with pytest.raises(CopyError):
        scene.copies(Served(broken[damage], '"2"'))
    assert scene.told() == 11


def test_a_book_of_an_earlier_term_is_refused_whatever_its_times_say(scene):
    scene.copies(Served(copy_of(answers(11, term=5, number=9))))
    with pytest.raises(CopyError, match="older than the book in use"):
        scene.copies(Served(copy_of(answers(3, term=4, number=100)), '"2"'))
    with pytest.raises(CopyError, match="older than the book in use"):
        scene.copies(Served(copy_of(answers(3, term=5, number=8)), '"3"'))
    scene.copies(Served(copy_of(answers(3, term=6, number=1)), '"4"'))
    assert scene.told() == 3


def test_a_book_below_a_term_that_was_seen_in_the_lease_is_refused(scene):
    scene.role.highest_term = 6
    with pytest.raises(CopyError, match="term 6 was seen"):
        scene.copies()
    assert not (scene.state / "answers.book").exists()


def test_what_waits_for_confirmation_goes_over_and_is_kept_on_disk(scene):
    old = scene.policies.book.resolve("voice")
    new = old.model_copy(update={"min_pods": 9})
    leaders = PolicyStore(scene.state.parent / "policies", scene.state.parent / "other", SystemClock())
    waits = Pending("voice/acme", "voice", old, new, 1.0, 0.8)
    leaders.adopt({"voice/acme": Standing("voice", old, waits)})
    scene.copies(Served(copy_of(answers(11), leaders.standings_json())))
    assert scene.policies.pending("voice/acme") == waits
    again = PolicyStore(scene.state.parent / "policies", scene.state, SystemClock())
    again.load()
    assert again.pending("voice/acme") == waits


def test_a_leader_that_has_no_plan_yet_or_leads_no_more_is_not_copied(scene):
    scene.copies()
    with pytest.raises(CopyError, match="answered 503"):
        scene.copies(None)
    assert scene.told() == 11


def test_a_copy_that_comes_when_this_replica_leads_already_is_dropped(scene):
    scene.copies()

    class Gained(Served):
        def body(self) -> bytes:
            scene.role.led = 7
            return super().body()

    with pytest.raises(CopyError, match="leads now"):
        scene.copies(Gained(copy_of(answers(3, number=2)), '"2"'))
    assert scene.told() == 11


def test_a_leader_publishes_only_in_its_term_and_counts_its_books(scene):
    scene.role.led = 7
    scene.answers.publish(7, 1.0, 1.0, 1.0, (ACME,))
    scene.answers.publish(7, 2.0, 2.0, 1.0, (ACME,))
    book = open_book(scene.state / "answers.book")
    assert (book.term, book.number) == (7, 2)
    for led in (None, 8):
        scene.role.led = led
        with pytest.raises(NotLeadingError):
            scene.answers.publish(7, 3.0, 3.0, 1.0, (ACME,))
    assert open_book(scene.state / "answers.book").number == 2


def test_a_leader_offers_its_books_and_a_follower_none(scene):
    assert scene.replica.offer() is None
    scene.role.led = 7
    assert scene.replica.offer() is None, "nothing was planned yet"
    scene.answers.publish(7, 1.0, 1.0, 1.0, (ACME,))
    first = scene.replica.offer()
    assert first is not None
    scene.policies.adopt({"voice/acme": Standing("voice", scene.policies.book.resolve("voice"))})
    assert scene.replica.offer().tag != first.tag
    scene.role.led = None
    assert scene.replica.offer() is None


def test_answers_whose_plans_were_not_remembered_yet_travel_once_more_with_them(scene):
    scene.role.led = 7
    scene.answers.publish(7, 1.0, 1.0, 1.0, (ACME,))
    between = scene.replica.offer()
    scene.plans.take(PlanBook())
    assert scene.replica.offer().tag != between.tag


def unwritable(*_: object) -> None:
    raise StateError("no space left")


def test_what_cannot_be_kept_of_the_policies_withholds_no_answer(scene, monkeypatch):
    monkeypatch.setattr("scaler.policy.store.write_json", unwritable)
    standing = Standing("voice", scene.policies.book.resolve("voice"))
    leaders = json.dumps(to_json({"voice/acme": standing})).encode()
    with pytest.raises(StateError, match="no space"):
        scene.copies(Served(copy_of(answers(11), leaders)))
    assert scene.told() == 11
    monkeypatch.undo()
    scene.copies()
    again = PolicyStore(scene.state.parent / "policies", scene.state, SystemClock())
    again.load()
    assert again.last_in_force("voice/acme", standing.spec.model_copy(update={"min_pods": 9})) == standing.spec


def test_word_for_the_command_that_cannot_be_left_withholds_no_answer(scene, monkeypatch):
    monkeypatch.setattr("scaler.service.replica.note_leader", unwritable)
    with pytest.raises(StateError, match="no space"):
        scene.copies()
    assert scene.told() == 11


def test_a_copy_is_taken_over_whole_before_a_new_leader_plans(scene, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    adopt = scene.policies.adopt

    def slowly(standings: Mapping[str, Standing]) -> None:
        inside.set()
        assert go_on.wait(30)
        adopt(standings)

    monkeypatch.setattr(scene.policies, "adopt", slowly)

    async def run() -> None:
        async with scene.serving():
            copying = asyncio.create_task(scene.replica.copy())
            assert await asyncio.to_thread(inside.wait, 30)
            assert scene.answers.turn.locked()
            go_on.set()
            await copying
            assert not scene.answers.turn.locked()

    asyncio.run(run())
    assert scene.told() == 11


@pytest.fixture
def waited(monkeypatch) -> list[float]:
    """The pauses that were made, none of them in real time."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("scaler.service.replica.asyncio.sleep", sleep)
    return pauses


def test_a_leader_that_stops_lets_its_followers_copy_the_last_plan(scene, waited, monkeypatch):
    now_s = 1000.0
    monkeypatch.setattr("scaler.service.replica.time.monotonic", lambda: now_s)
    scene.role.led = 7
    scene.answers.publish(7, 1.0, 1.0, 1.0, (ACME,))
    scene.replica.offer()
    now_s += 1.0
    scene.answers.publish(7, 2.0, 2.0, 1.0, (ACME,))
    # Driven by hand: with the clock of the test no loop would go on.
    for told in (pytest.approx(HAND_OVER_S), pytest.approx(HAND_OVER_S - 0.5)):
        with pytest.raises(StopIteration):
            scene.replica.hand_over().send(None)
        assert waited.pop() == told
        scene.replica.offer()
        now_s += 0.5
    now_s += COPY_EVERY_S
    with pytest.raises(StopIteration):
        scene.replica.hand_over().send(None)
    assert waited.pop() == 0, "everybody asked since"


def test_a_leader_that_nobody_follows_and_a_follower_stop_at_once(scene, waited, monkeypatch):
    now_s = 1000.0
    monkeypatch.setattr("scaler.service.replica.time.monotonic", lambda: now_s)
    scene.role.led = 7
    scene.answers.publish(7, 1.0, 1.0, 1.0, (ACME,))
    with pytest.raises(StopIteration):
        scene.replica.hand_over().send(None)
    scene.replica.offer()
    now_s += FOLLOWS_FOR_S + 1
    scene.answers.publish(7, 2.0, 2.0, 1.0, (ACME,))
    with pytest.raises(StopIteration):
        scene.replica.hand_over().send(None)
    scene.replica.offer()
    scene.role.led = None
    with pytest.raises(StopIteration):
        scene.replica.hand_over().send(None)
    assert waited == []


def test_the_command_that_confirms_is_told_whom_to_ask(scene):
    scene.copies()
    assert noted_leader(scene.state) == "a"
    scene.role.led = 7
    asyncio.run(scene.replica.copy())
    assert noted_leader(scene.state) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://10.0.0.1",
        "https://10.0.0.1:8081",
        "ftp://10.0.0.1:8081",
        "http://user:secret@10.0.0.1:8081",
        "http://10.0.0.1:8081/elsewhere",
        "http://10.0.0.1:8081?x=1",
        "http://10.0.0.1:99999",
        "http://10.0.0.1:8081\r\nHost: evil",
        "http://[fd00::1:8081",
        "http://ho st:8081",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_not_exactly_scheme_host_and_port_is_not_asked(address):
    with pytest.raises(CopyError, match="the Lease names"):
        address_of(Leader("a", address, 1), tls=False)


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1:8081", "http://[fd00::1]:8081", "http://calltide-0.calltide:8081"]
)
def test_addresses_of_pods_are_asked(address):
    assert address_of(Leader("a", address, 1), tls=False) == address


def test_a_leader_that_sends_nothing_is_given_up(scene, monkeypatch):
    monkeypatch.setattr("scaler.service.replica.COPY_WITHIN_S", 0.3)

    async def run() -> None:
        server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(30), "127.0.0.1", scene.port)
        async with server:
            await scene.replica.copy()

    with pytest.raises(CalltideError, match="gave no copy"):
        asyncio.run(run())


def test_more_than_any_book_is_not_read_to_its_end(scene, monkeypatch):
    monkeypatch.setattr("scaler.service.replica.MOST_BYTES", 100)
    with pytest.raises(CopyError, match="more than 100 bytes"):
        scene.copies()
