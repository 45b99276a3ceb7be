"""A follower and a leader that it copies from over a real connection; who leads is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from keda_external_scaler.book_file import open_book
from keda_external_scaler.book_format import encode_book
from scaler.clock import SystemClock
from scaler.core.plan_book import PlanBook
from scaler.policy.store import PolicyStore
from scaler.service.answers import Answers
from scaler.service.copies import Copy, packed
from scaler.service.copy_server import CopyServer, copy_app
from scaler.service.http_server import BackgroundServer, listen
from scaler.service.leadership import Leader, Membership
from scaler.service.plan_book_file import to_bytes
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.replica import Books, Replica
from scaler.service.settings import ReplicaSettings, ReplicaTls
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
