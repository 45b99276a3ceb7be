"""What a follower takes from whoever claims to lead, and what it does not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import uvicorn

from keda_external_scaler.book_file import open_book
from keda_external_scaler.book_format import encode_book
from scaler.clock import SystemClock
from scaler.core.plan_book import PlanBook
from scaler.errors import CalltideError, StateError
from scaler.policy.confirmations import noted_leader
from scaler.policy.standing import Pending, Standing, to_json
from scaler.policy.store import PolicyStore
from scaler.service.answers import Answers
from scaler.service.copies import Copy, CopyError, packed
from scaler.service.copy_server import CopyServer, copy_app
from scaler.service.http_server import BackgroundServer, listen
from scaler.service.leadership import Leader, Membership, NotLeadingError
from scaler.service.plan_book_file import to_bytes
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.replica import COPY_EVERY_S, FOLLOWS_FOR_S, HAND_OVER_S, Books, Replica, address_of
from scaler.service.settings import ReplicaSettings, ReplicaTls
from tests.servers.certificates import Authority
from tests.servers.keda import ACME, book_of
from tests.servers.processes import free_port

POLICY = """
apiVersion: calltide.io/v1
kind: Policy
metadata: {name: voice}
spec:
  history: {channels: channels}
  capacity: {channelsPerPod: 10}
"""
HOST = "calltide.calltide.svc"


class Role:
    """The leadership as the test has it."""

    def __init__(self) -> None:
        self.led: int | None = None
        self.leader: Leader | None = None
        self.highest_term = 0

    def term(self) -> int | None:
        return self.led

    def membership(self) -> Membership:
        return Membership("b", self.led, self.leader)


def answers(answer: int, term: int = 5, number: int = 1) -> bytes:
    return encode_book(replace(book_of(replace(ACME, answer=answer)), term=term, number=number))


def copy_of(raw: bytes, standings: bytes = b'{"specs": {}, "fleets": {}}') -> bytes:
    return packed(Copy(raw, to_bytes(PlanBook()), standings))


@dataclass
class Served:
    """What the leader offers."""

    raw: bytes
    tag: str = '"1"'
    packed_count: int = 0

    def body(self) -> bytes:
        self.packed_count += 1
        return self.raw


class Scene:
    """A follower, and a leader at an address of its own."""

    def __init__(self, folder: Path, tls: ReplicaTls | None = None, server_tls: ReplicaTls | None = None) -> None:
        (folder / "policies").mkdir()
        (folder / "policies" / "voice.yaml").write_text(POLICY)
        self.state = folder / "state"
        self.state.mkdir()
        self.offered: Served | None = Served(copy_of(answers(11)))
        self.role = Role()
        self.policies = PolicyStore(folder / "policies", self.state, SystemClock())
        self.policies.load()
        self.plans = PlanKeeper(self.state)
        self.answers = Answers(self.state / "answers.book", self.role)
        self.port = free_port()
        self.server_settings = ReplicaSettings(listen=f"127.0.0.1:{self.port}", tls=server_tls or tls)
        books = Books(self.answers, self.plans, self.policies)
        settings = ReplicaSettings(listen="127.0.0.1:1", tls=tls)
        self.replica = Replica(settings, self.state, self.role, books, SystemClock())
        self.role.leader = Leader("a", f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}", 5)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        if self.server_settings.tls is not None:
            server = CopyServer(self.server_settings, lambda: self.offered)
            server.start()
        else:
            config = uvicorn.Config(copy_app(lambda: self.offered), log_config=None, lifespan="off")
            server = BackgroundServer(config)
            server.start(listen("listen", self.server_settings.listen))
        try:
            yield
        finally:
            await server.stop(*(() if isinstance(server, CopyServer) else (1.0,)))

    def copies(self, *offers: Served | None) -> None:
        """Copy each of these offers in turn."""

        async def run() -> None:
            async with self.serving():
                for offer in offers or (self.offered,):
                    self.offered = offer
                    await self.replica.copy()

        asyncio.run(run())

    def told(self) -> int:
        entry = open_book(self.state / "answers.book").find("voice", "acme")
        assert entry is not None
        return entry.answer


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


def tls_of(folder: Path, name: str, authority: Authority, trusted: Authority, host: str = HOST) -> ReplicaTls:
    leaf = authority.issue(host)
    files = {"crt": leaf.certificate, "key": leaf.key, "ca": trusted.certificate}
    for ending, content in files.items():
        (folder / f"{name}.{ending}").write_bytes(content)
    return ReplicaTls(
        certificate_file=folder / f"{name}.crt",
        key_file=folder / f"{name}.key",
        ca_file=folder / f"{name}.ca",
        server_name=HOST,
    )


def test_with_tls_only_a_replica_is_copied_from_and_only_a_replica_may_copy(tmp_path):
    ours, theirs = Authority("ours"), Authority("theirs")
    for name in ("good", "forged", "other host", "stranger"):
        (tmp_path / name).mkdir()
    good = tls_of(tmp_path, "good", ours, ours)
    scene = Scene(tmp_path / "good", good)
    scene.copies()
    assert scene.told() == 11
    wrong = {
        "forged": (good, tls_of(tmp_path, "forged", theirs, ours)),
        "other host": (good, tls_of(tmp_path, "other", ours, ours, "elsewhere.svc")),
        "stranger": (tls_of(tmp_path, "stranger", theirs, ours), good),
    }
    for name, (follower, server) in wrong.items():
        scene = Scene(tmp_path / name, follower, server)
        with pytest.raises(CopyError, match="gave no copy"):
            scene.copies()
        assert not (scene.state / "answers.book").exists()


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path):
    (tmp_path / "scene").mkdir()
    ours, next_one = Authority("ours"), Authority("next")
    server = tls_of(tmp_path, "server", ours, ours)
    scene = Scene(tmp_path / "scene", tls_of(tmp_path, "follower", ours, ours), server)

    async def run() -> None:
        copy_server = CopyServer(scene.server_settings, lambda: scene.offered)
        copy_server.start()
        try:
            await scene.replica.copy()
            (tmp_path / "follower.ca").write_bytes(ours.certificate + next_one.certificate)
            tls_of(tmp_path, "server", next_one, ours)
            copy_server.renew()
            scene.offered = Served(copy_of(answers(12, number=2)), '"2"')
            await scene.replica.copy()
            assert scene.told() == 12
            (tmp_path / "follower.ca").write_bytes(ours.certificate)
            with pytest.raises(CopyError):
                await scene.replica.copy()
            (tmp_path / "server.key").write_text("half a key")
            copy_server.renew()
            (tmp_path / "follower.ca").write_bytes(next_one.certificate)
            await scene.replica.copy()
        finally:
            await copy_server.stop()

    asyncio.run(run())


def test_a_renewed_authority_is_trusted_without_a_restart(tmp_path):
    (tmp_path / "scene").mkdir()
    ours, next_one = Authority("ours"), Authority("next")
    server = tls_of(tmp_path, "server", ours, ours)
    scene = Scene(tmp_path / "scene", tls_of(tmp_path, "follower", next_one, ours), server)

    async def run() -> None:
        copy_server = CopyServer(scene.server_settings, lambda: scene.offered)
        copy_server.start()
        try:
            with pytest.raises(CopyError):
                await scene.replica.copy()
            (tmp_path / "server.ca").write_bytes(next_one.certificate)
            copy_server.renew()
            await scene.replica.copy()
        finally:
            await copy_server.stop()

    asyncio.run(run())
    assert scene.told() == 11


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
