"""What a replica does while another leads: it copies the leader's books, and so answers KEDA as the leader does.

The copy keeps the leader's times. When the leader falls silent it grows old like the leader's own book, and the KEDA
process answers *alone* from it. With the books come the plan book and what is in force for each fleet, so that this
replica can lead at once: the first plan after that goes on from the leader's last one.

Whom to copy from stands in the Lease, which whoever may write Leases may write. So the address is taken apart before
it is used, and with `replicas.tls` the server there must prove that it is one of ours.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from scaler.clock import Clock
from scaler.policy.confirmations import note_leader
from scaler.policy.store import PolicyStore
from scaler.service.answers import Answers
from scaler.service.copies import MOST_BYTES, Copied, Copy, CopyError, packed, unpacked
from scaler.service.copy_server import COPY_PATH, client_context
from scaler.service.leadership import Leader, LeaseLeadership, Membership
from scaler.service.plan_book_file import to_bytes
from scaler.service.plan_keeper import PlanKeeper
from scaler.service.replica_url import is_replica_url, replica_url_form
from scaler.service.settings import ReplicaSettings

_log = structlog.get_logger("replicas")

COPY_EVERY_S = 2.0
COPY_WITHIN_S = 5.0
"""One copy, from the connection to its last byte."""
HAND_OVER_S = COPY_EVERY_S + 0.5
"""Within this time every follower asks once."""
FOLLOWS_FOR_S = 10.0
"""Who has not asked for so long follows no more."""


@dataclass(frozen=True, slots=True)
class Books:
    """The three books of a replica, whoever made them."""

    answers: Answers
    plans: PlanKeeper
    policies: PolicyStore


@dataclass(frozen=True, slots=True)
class LeadersOffer:
    """The books of this replica while it leads, to be packed when somebody wants them."""

    tag: str
    copy: Callable[[], Copy]

    def body(self) -> bytes:
        """The books as bytes."""
        return packed(self.copy())


class Replica:
    """This replica among the others: it offers its books while it leads, and copies the leader's while it does not."""

    def __init__(
        self, settings: ReplicaSettings, state: Path, leadership: LeaseLeadership, books: Books, clock: Clock
    ) -> None:
        self._settings = settings
        self._state = state
        self._leadership = leadership
        self._books = books
        self._clock = clock
        # For plain HTTP, where nothing is verified: making a context with all the authorities of the world takes long.
        self._plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._noted: str | None = ""
        self._copied_tag: tuple[Leader, str] | None = None
        self._offered_tag: str | None = None
        self._offered_since_s = self._asked_at_s = float("-inf")
        self.copied_at_s: float | None = None
        """When the leader's books were last found to be what is in use here, by the plan's clock."""

    def offer(self) -> LeadersOffer | None:
        """What others may copy: nothing while another leads or before the first plan."""
        # Taken before the books: one that is newer than its tag travels once more, one that is older never would.
        tag = self._tag()
        answers = self._books.answers.in_use
        if tag is None or answers is None:
            return None
        policies, plan_book = self._books.policies, self._books.plans.book

        def copy() -> Copy:
            return Copy(answers.raw, to_bytes(plan_book), policies.standings_json())

        self._asked_at_s = time.monotonic()
        if tag != self._offered_tag:
            self._offered_tag, self._offered_since_s = tag, self._asked_at_s
        return LeadersOffer(tag, copy)

    def _tag(self) -> str | None:
        term, answers = self._leadership.term(), self._books.answers.in_use
        if term is None or answers is None or answers.term != term:
            return None
        return f'"{term}-{answers.number}-{self._books.plans.revision}-{self._books.policies.revision}"'

    async def hand_over(self) -> None:
        """Wait until every follower has had its turn to ask since the books changed last; not when nobody asks."""
        now_s, tag = time.monotonic(), self._tag()
        if tag is None or now_s - self._asked_at_s > FOLLOWS_FOR_S:
            return
        since_s = self._offered_since_s if tag == self._offered_tag else now_s
        await asyncio.sleep(max(0.0, since_s + HAND_OVER_S - now_s))

    async def copy(self) -> None:
        """Copy the leader's books if there are newer ones.

        Raises:
            CopyError: there is no leader to copy from, or its books cannot be had or used. Those before stay in use.
            StateError: they cannot be written here.
        """
        membership = self._leadership.membership()
        try:
            await self._copy_unless_leading(membership)
        finally:
            # After the copy: word that cannot be left must not cost KEDA the leader's answers.
            await self._note(None if membership.term is not None else membership.leader)

    async def _copy_unless_leading(self, membership: Membership) -> None:
        if membership.term is not None:
            self._copied_tag = None
            return
        if membership.leader is None:
            raise CopyError(membership.problem or "no replica leads now")
        await self._copy_from(membership.leader)

    async def _copy_from(self, leader: Leader) -> None:
        url = address_of(leader, tls=self._settings.tls is not None)
        known = self._copied_tag[1] if self._copied_tag and self._copied_tag[0] == leader else None
        try:
            async with asyncio.timeout(COPY_WITHIN_S):
                answered = await self._fetch(url + COPY_PATH, known)
        except TimeoutError as error:
            raise CopyError(f"{leader.name} at {url} gave no copy within {COPY_WITHIN_S:g} s") from error
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise CopyError(f"{leader.name} at {url} gave no copy: {type(error).__name__}: {error}") from error
        if answered is not None:
            tag, raw = answered
            copied = await asyncio.to_thread(unpacked, raw)
            async with self._books.answers.turn:
                await asyncio.to_thread(self._adopt, copied)
            self._copied_tag = (leader, tag)
        self.copied_at_s = self._clock.now_s()

    async def _fetch(self, url: str, known_tag: str | None) -> tuple[str, bytes] | None:
        """The tag and the bytes; None when they are those that are known."""
        tls = self._settings.tls
        # A context for each copy: the files may have been renewed, and followers are few.
        context = self._plain if tls is None else await asyncio.to_thread(client_context, tls)
        headers = {"Accept-Encoding": "identity"} | ({} if known_tag is None else {"If-None-Match": known_tag})
        # All replicas share one certificate, which names the service and not the address of a pod.
        extensions = {} if tls is None else {"sni_hostname": tls.server_name}
        async with (
            httpx.AsyncClient(verify=context, trust_env=False, timeout=COPY_WITHIN_S) as client,
            client.stream("GET", url, headers=headers, extensions=extensions) as response,
        ):
            if response.status_code == httpx.codes.NOT_MODIFIED and known_tag is not None:
                return None
            if response.status_code != httpx.codes.OK:
                raise CopyError(f"{url} answered {response.status_code}: it does not lead, or has not planned yet")
            return response.headers.get("etag", ""), await _bounded(response)

    def _adopt(self, copied: Copied) -> None:
        highest = self._leadership.highest_term
        if copied.answers.term < highest:
            raise CopyError(
                f"the copy is of term {copied.answers.term}, and term {highest} was seen already. If the Lease was "
                "removed by hand, start this replica again."
            )
        self._books.answers.must_take(copied.answers)
        # Before the answers: whoever leads from here on must know at least as much as KEDA was told.
        self._books.plans.take(copied.plan_book)
        try:
            self._books.policies.adopt(copied.standings)
        finally:
            # What could not be written down is taken over all the same, and withholds no answer.
            self._books.answers.adopt(copied)
        self._books.plans.write_if_due()

    async def _note(self, leader: Leader | None) -> None:
        name = None if leader is None else leader.name
        if name != self._noted:
            await asyncio.to_thread(note_leader, self._state, name)
            self._noted = name


async def _bounded(response: httpx.Response) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > MOST_BYTES:
            raise CopyError(f"the leader's books have more than {MOST_BYTES} bytes; they are not read further")
        parts.append(part)
    return b"".join(parts)


def address_of(leader: Leader, *, tls: bool) -> str:
    """Where the leader's books are, from the text in the Lease.

    Raises:
        CopyError: the text is not exactly a scheme, a host and a port, or the scheme is not the configured one.
    """
    if not is_replica_url(leader.address, tls=tls):
        raise CopyError(
            f"the Lease names {leader.address[:200]!r} as the leader's address; it must be "
            f"{replica_url_form(tls=tls)}; see replicas.advertise of {leader.name or 'the leader'}"
        )
    return leader.address
