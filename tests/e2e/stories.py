"""What telephony people fear to lose: seven stories that begin on a pod, go on while it drains, and end as planned.

Each is told in three verbs. `begin` needs an open gate; `go_on` is the step that a careless drain would cut or refuse;
`end` hangs up and fails unless every side was up until then and hears of the end.
"""

from __future__ import annotations

import socket
import threading
import time
import wave
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import ClassVar, Protocol

from tests.e2e.telephone import End, Line, Telephone, in_time, session_of
from tests.rig.voice.pbx import Pbx
from tests.servers.processes import wait_for

ANSWERED, PARKING, SLOT, QUEUE, ROOM, RECORDED, COLLEAGUE = "1001", "700", "701", "3000", "4000", "1004", "5001"
RINGS_S = 60.0
REFRESHES = 2
REFRESHES_AT_MOST_S = 300.0
"""Asterisk refreshes a session of 90 s after 45 s."""
REFRESHED_EVERY_S = 20.0
"""By the phone."""
PACKET_S, PACKET = 0.02, b"\x10" * 160
"""µ-law, and nowhere near silence."""
RATE_PER_S = 8000
WAVE_HEAD_BYTES = 44
_LOUD = 1000


@dataclass(frozen=True)
class Scene:
    """Where the stories happen: a telephone beside the test, a PBX that will leave, and the root of its file system."""

    telephone: Telephone
    pbx: Pbx
    root: Path

    def dial(self, number: str, user: str, *headers: str, audio: int | None = None) -> Line:
        """A call that is answered at once."""
        line = self.telephone.dial(self.pbx.address, number, user, *headers, audio=audio)
        in_time(lambda: line.code, f"{number} to answer", line)
        assert line.up, f"{number} answered {user} with {line.code}"
        return line

    def rings_for(self, user: str) -> Line:
        """The leg to a colleague or an agent that a call of this user has led to."""
        return wait_for(lambda: self.telephone.came_from(user), f"the telephone to ring for {user}")

    def picked_up(self, user: str) -> Line:
        """The same, answered. A leg that a queue has just given up is followed by another."""

        def answered() -> Line | None:
            line = self.telephone.came_from(user)
            if line is not None and line.ringing:
                line.answer()
            return line if line is not None and line.up else None

        return wait_for(answered, f"the leg of {user} to be answered")


def heard(line: Line) -> None:
    """The far side has hung up, and no earlier than it should."""
    in_time(lambda: line.end is End.THERE, f"the other side of {line.user} to hear of the end", line)


class Story(Protocol):
    """One of the seven."""

    name: ClassVar[str]

    def begin(self, scene: Scene) -> None:
        """What happens while the gate is open."""

    def go_on(self, scene: Scene) -> None:
        """The next step, while the pod drains."""

    def end(self, scene: Scene) -> None:
        """The end as planned."""


class Consultation:
    """An agent consults a colleague, and completes that into an attended transfer."""

    name = "attended transfer in consultation"

    def begin(self, scene: Scene) -> None:
        self.customer = scene.telephone.dial(scene.pbx.address, COLLEAGUE, "customer")
        self.agent = scene.picked_up("customer")
        self.consulting = scene.telephone.dial(scene.pbx.address, COLLEAGUE, "consulting")
        self.expert = scene.picked_up("consulting")
        for line in (self.customer, self.consulting):
            in_time(lambda line=line: line.up, "the caller to be answered", line)

    def go_on(self, scene: Scene) -> None:
        refer_to = f"Refer-To: <sip:{COLLEAGUE}@{scene.pbx.address}?Replaces={self.consulting.replaces}>"
        assert self.agent.ask("REFER", refer_to) == 202
        in_time(lambda: self.agent.transferred >= 200, "the transfer to be over", self.agent)
        assert self.agent.transferred == 200
        # The agent leaves both calls, and those who are left are in one.
        self.agent.hang_up()
        heard(self.consulting)

    def end(self, scene: Scene) -> None:
        assert self.expert.up, f"the expert's call has ended: {self.expert.end}"
        self.customer.hang_up()
        heard(self.expert)


class Parked:
    """Somebody is parked, and taken back."""

    name = "parked call"

    def begin(self, scene: Scene) -> None:
        self.parked = scene.dial(PARKING, "parked")
        wait_for(lambda: scene.pbx.device_state(f"park:{SLOT}@parkedcalls") == "INUSE", f"slot {SLOT} to be taken")

    def go_on(self, scene: Scene) -> None:
        self.taker = scene.dial(SLOT, "taker")

    def end(self, scene: Scene) -> None:
        assert self.parked.up, f"the parked call has ended: {self.parked.end}"
        self.taker.hang_up()
        heard(self.parked)


class Conference:
    """Three talk, and a fourth comes late."""

    name = "conference with a late joiner"

    def begin(self, scene: Scene) -> None:
        self.parties = [scene.dial(ROOM, f"party-{number}") for number in range(3)]
        wait_for(lambda: scene.pbx.in_room() == 3, "three to be in the room")

    def go_on(self, scene: Scene) -> None:
        self.parties.append(scene.dial(ROOM, "late"))
        wait_for(lambda: scene.pbx.in_room() == 4, "the late joiner to be in the same room")

    def end(self, scene: Scene) -> None:
        for party in self.parties:
            party.hang_up()


class Queued:
    """A caller waits in a queue whose agent does not answer for a while."""

    name = "queue with an agent"

    def begin(self, scene: Scene) -> None:
        self.caller = scene.dial(QUEUE, "queued")
        scene.rings_for("queued")

    def go_on(self, scene: Scene) -> None:
        self.agent = scene.picked_up("queued")

    def end(self, scene: Scene) -> None:
        assert self.agent.up, f"the agent's call has ended: {self.agent.end}"
        self.caller.hang_up()
        heard(self.agent)


class Ringing:
    """A call rings for a minute before somebody answers."""

    name = "call that rings for 60 s"

    def begin(self, scene: Scene) -> None:
        self.caller = scene.telephone.dial(scene.pbx.address, COLLEAGUE, "patient")
        self.callee = scene.rings_for("patient")
        self.since_s = time.monotonic()
        in_time(lambda: self.caller.ringing, "the caller to hear it ring", self.caller)

    def go_on(self, scene: Scene) -> None:
        # The minute is the story. Whatever ends the call before it is over is seen at once.
        wait_for(
            lambda: self.callee.end or self.caller.code or time.monotonic() - self.since_s >= RINGS_S,
            "a minute to pass",
            at_most_s=2 * RINGS_S,
        )
        assert self.callee.ringing, f"it no longer rings: {self.callee.end}, and the caller has {self.caller.code}"
        self.callee.answer()
        in_time(lambda: self.caller.up and self.callee.up, "both to talk", self.caller)

    def end(self, scene: Scene) -> None:
        assert self.callee.up, f"the callee's call has ended: {self.callee.end}"
        self.caller.hang_up()
        heard(self.callee)


class SessionTimers:
    """One call is refreshed by the PBX, one by the phone. One that is not refreshed is ended before 90 s are over."""

    name = "re-INVITEs by session timer"

    def begin(self, scene: Scene) -> None:
        self.by_pbx = scene.dial(ANSWERED, "refreshed", *session_of("uas"))
        self.by_phone = scene.dial(ANSWERED, "refreshing", *session_of("uac"))
        self.answers: list[int] = []
        self._over = threading.Event()
        threading.Thread(target=self._refreshing, daemon=True).start()

    def go_on(self, scene: Scene) -> None:
        by_pbx, by_phone = len(self.by_pbx.refreshed), len(self.answers)
        wait_for(
            lambda: (
                not (self.by_pbx.up and self.by_phone.up)
                or min(len(self.by_pbx.refreshed) - by_pbx, len(self.answers) - by_phone) >= REFRESHES
            ),
            "both sessions to be refreshed while the pod drains",
            at_most_s=REFRESHES_AT_MOST_S,
        )

    def end(self, scene: Scene) -> None:
        self._over.set()
        assert set(self.answers) == {200}, self.answers
        self.by_pbx.hang_up()
        self.by_phone.hang_up()

    def _refreshing(self) -> None:
        while not self._over.wait(REFRESHED_EVERY_S) and self.by_phone.up:
            self.answers.append(self.by_phone.refresh())


class Recording:
    """MixMonitor writes all the time; what is left to do with the file outlives the channel."""

    name = "MixMonitor still writing"
    pending = "no recording"
    """What is left to do, as the pod tells it."""

    def begin(self, scene: Scene) -> None:
        self._hold(scene).touch()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((scene.telephone.address, 0))
        self.caller = scene.dial(RECORDED, "recorded", audio=self._socket.getsockname()[1])
        self.packets, self._talks = 0, True
        self._talk = threading.Thread(target=self._talking, daemon=True)
        self._talk.start()
        self.file = wait_for(lambda: self._file(scene), "the recording to begin")
        self.pending = self.file.name

    def go_on(self, scene: Scene) -> None:
        before = self.file.stat().st_size
        wait_for(lambda: self.file.stat().st_size > before, "the recording to grow while the pod drains")

    def end(self, scene: Scene) -> None:
        assert self.caller.up, f"the recorded call has ended: {self.caller.end}"
        self._talks = False
        self._talk.join()
        self.caller.hang_up()
        frames = wait_for(self._whole, "the recording to be whole")
        sent_s = self.packets * PACKET_S
        loud = sum(
            abs(int.from_bytes(frames[at : at + 2], "little", signed=True)) > _LOUD for at in range(0, len(frames), 2)
        )
        # Asterisk's recorder works in a thread of its own and may leave the last moments out.
        assert sent_s - 1.0 <= loud / RATE_PER_S <= sent_s, f"{loud / RATE_PER_S:.2f} s recorded of {sent_s:.2f} s"

    def let_finish(self, scene: Scene) -> None:
        """Let the work on the file come to its end."""
        self._hold(scene).unlink()

    def close(self) -> None:
        """Stop talking."""
        self._talks = False

    def _hold(self, scene: Scene) -> Path:
        return scene.root / "var" / "spool" / "asterisk" / "keep-working"

    def _file(self, scene: Scene) -> Path | None:
        found = sorted((scene.root / "var" / "spool" / "asterisk" / "monitor").glob("*.wav"))
        return found[0] if found else None

    def _whole(self) -> bytes:
        """Its samples; none as long as its head does not count them all."""
        with wave.open(str(self.file)) as recording:
            frames = recording.readframes(recording.getnframes())
        return frames if len(frames) + WAVE_HEAD_BYTES == self.file.stat().st_size else b""

    def _talking(self) -> None:
        assert self.caller.media is not None, "the PBX did not say where it hears"
        began_s = time.monotonic()
        for number in count():
            if not self._talks:
                break
            header = b"\x80\x00" + (number & 0xFFFF).to_bytes(2) + (number * 160 & 0xFFFFFFFF).to_bytes(4) + b"talk"
            self._socket.sendto(header + PACKET, self.caller.media)
            self.packets = number + 1
            # What a busy machine held up is made good.
            time.sleep(max(0.0, began_s + self.packets * PACKET_S - time.monotonic()))
        self._socket.close()
