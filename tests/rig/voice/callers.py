"""Callers: SIPp processes that carry out a call plan, and the ledger of what became of every call.

    run = Callers(proxies=("127.16.0.11", "127.16.0.12"), address="127.16.1.1", folder=…).start(plan)
    ledger = run.wait()

One process places the calls of one segment through one proxy. SIPp is the voice tree's, run by the tree's own loader:
it needs no chroot, and reads and writes the machine's own paths. The ledger is made from what each process saw on the
wire, and must agree with SIPp's own count.
"""

from __future__ import annotations

import csv
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.rig.place import free_port
from tests.rig.voice.ear import Ear
from tests.rig.voice.ledger import Call, Ledger, LedgerError, Totals, account, cross_check
from tests.rig.voice.plan import CallPlan, Share, shares
from tests.rig.voice.trace import read
from tests.rig.voice_tree import voice_tree

SCENARIOS = Path(__file__).parent / "scenarios"
SIP_PORT = 5060
ANSWER_WITHIN_S = 90
"""A call that has no final answer by then is given up and has failed; longer than the proxy's own patience."""
_SPARE_S = 240.0
"""Beyond the last planned hanging up: for answers that never come, and for a machine that is busy."""
_BETWEEN_SIGNALS_S = 0.5
_DISCARD_PORT = 9
_NORMAL_EXITS = frozenset({0, 1})
"""1: some calls did not go as the script has it. Which, and how, is the ledger's business."""


class CallersError(Exception):
    """Calls were not placed as planned; the text says what happened."""


class Callers:
    """Where calls come from and which proxies they go through."""

    def __init__(self, proxies: Sequence[str], address: str, folder: Path) -> None:
        self._proxies = tuple(proxies)
        self._address = address
        self._folder = folder

    def start(self, plan: CallPlan) -> Running:
        """Begin a plan now.

        Raises:
            PlanError: it cannot be carried out.
            VoiceTreeError: there is no SIPp.
        """
        voice_tree()
        name = f"run-{uuid.uuid4().hex[:8]}"
        folder = self._folder / name
        folder.mkdir(parents=True)
        lines = [
            _Line(share, f"{name}-{number}-", folder / str(number), self._address)
            for number, share in enumerate(shares(plan, self._proxies))
        ]
        return Running(name, lines)


class Running:
    """A plan that is being carried out."""

    def __init__(self, name: str, lines: Sequence[_Line]) -> None:
        self.name = name
        self._lines = lines
        self._began_s = time.monotonic()
        self._stopped_s: float | None = None
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._placing = threading.Thread(target=self._place, name=name, daemon=True)
        self._placing.start()

    def so_far(self) -> Ledger:
        """What has happened until now; calls that go on are unfinished. Not held against SIPp's count yet."""
        return _ledger([line.account(self._stopped_s or time.time()) for line in self._lines])

    def stop(self) -> None:
        """Place no more calls and hang up those that are up."""
        if self._stopped_s is None:
            self._stopped_s = time.time()
        self._stopping.set()
        self._placing.join()
        # Once: no more calls. Once more: hang up instead of waiting for the planned end.
        for _ in range(2):
            for line in self._lines:
                line.signal(signal.SIGUSR1)
            time.sleep(_BETWEEN_SIGNALS_S)

    def wait(self, *, at_most_s: float | None = None) -> Ledger:
        """The ledger, when every call has ended. By default as long as the plan takes, and some.

        Raises:
            CallersError: a process failed, or did not end in time (then it is ended).
            LedgerError: the account does not add up.
        """
        longest_s = max(line.end_s for line in self._lines) if at_most_s is None else at_most_s
        deadline_s = (self._began_s if at_most_s is None else time.monotonic()) + longest_s
        try:
            self._placing.join(max(0.0, deadline_s - time.monotonic()))
            if self._failure is not None:
                raise self._failure
            for line in self._lines:
                line.wait(deadline_s, stopped=self._stopped_s is not None)
        finally:
            self._stopping.set()
            self._placing.join()
            for line in self._lines:
                line.kill()
        return _ledger([line.checked(self._stopped_s) for line in self._lines])

    def _place(self) -> None:
        try:
            for line in self._lines:
                if self._stopping.wait(max(0.0, self._began_s + line.share.start_s - time.monotonic())):
                    return
                line.start()
        except Exception as error:
            # Told by wait(), in the thread that can do something about it.
            self._failure = error


class _Line:
    """One SIPp process."""

    def __init__(self, share: Share, own: str, files: Path, address: str) -> None:
        self.share = share
        self._own = own
        self._files = files
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None
        self._ears: tuple[Ear, ...] = ()

    @property
    def end_s(self) -> float:
        """Seconds after the plan's start by which all its calls have surely ended."""
        share = self.share
        return share.start_s + len(share.holds_s) / share.rate_per_s + max(share.holds_s) + _SPARE_S

    def start(self) -> None:
        holds_s = self.share.holds_s
        if self.share.segment.listens:
            self._ears = tuple(Ear(self._address) for _ in holds_s)
        ports = [ear.port for ear in self._ears] or [_DISCARD_PORT] * len(holds_s)
        rows = "".join(f"{round(hold_s * 1000)};{port}\n" for hold_s, port in zip(holds_s, ports, strict=True))
        self._file("holds").write_text(f"SEQUENTIAL\n{rows}", encoding="ascii")
        with self._file("log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for ear in self._ears:
            ear.close()

    def wait(self, deadline_s: float, *, stopped: bool) -> None:
        if self._process is None:
            return
        try:
            code = self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise CallersError(f"{self._own}: calls are up longer than planned:\n{self._said()}") from None
        if code not in _NORMAL_EXITS and not stopped:
            raise CallersError(f"{self._own}: SIPp ended with {code}:\n{self._said()}")

    def account(self, stopped_s: float | None) -> list[Call]:
        share = self.share
        return account(read(self._file("trace")), share.segment, share.proxy, own=self._own, stopped_s=stopped_s)

    def checked(self, stopped_s: float | None) -> list[Call]:
        calls = self.account(stopped_s)
        if self._process is None:
            return calls
        cross_check(self._own, calls, totals(self._file("count")))
        if stopped_s is None and len(calls) != len(self.share.holds_s):
            raise LedgerError(f"{self._own}: {len(self.share.holds_s)} calls were planned, {len(calls)} were offered")
        return [self._heard(call) for call in calls]

    def _heard(self, call: Call) -> Call:
        """The call with its longest silence, where somebody listened to it."""
        if not self._ears or call.answered_s is None or call.ended_s is None:
            return call
        ear = self._ears[int(call.call_id.removeprefix(self._own)) - 1]
        return replace(call, silence_s=ear.longest_silence_s(call.answered_s, call.ended_s))

    def _command(self) -> list[str]:
        share = self.share
        tree = voice_tree()
        libraries = tree / "usr" / "lib" / "x86_64-linux-gnu"
        calls = str(len(share.holds_s))
        scenario = SCENARIOS / ("abandon.xml" if share.segment.abandons else "call.xml")
        options: list[tuple[str, ...]] = [
            ("-sf", str(scenario)),
            ("-s", share.segment.extension),
            ("-key", "fleet", share.segment.fleet),
            ("-inf", str(self._file("holds"))),
            ("-cid_str", f"{self._own}%u"),
            ("-i", self._address),
            ("-p", str(free_port(self._address, socket.SOCK_DGRAM))),
            ("-r", f"{share.rate_per_s:.6f}"),
            # As many at once as there are: the default limit would thin out long calls.
            ("-m", calls),
            ("-l", calls),
            ("-recv_timeout", str(ANSWER_WITHIN_S * 1000)),
            # It ends by itself even where nobody is left to end it.
            ("-timeout", f"{self.end_s - share.start_s:.0f}"),
            ("-trace_shortmsg", "-shortmessage_file", str(self._file("trace"))),
            ("-trace_err", "-error_file", str(self._file("errors"))),
            ("-trace_stat", "-stf", str(self._file("count"))),
            ("-fd", "60"),
            ("-f", "600"),
            ("-nostdin",),
        ]
        loader = (str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries))
        flat = (part for option in options for part in option)
        return [*loader, str(tree / "usr" / "bin" / "sipp"), *flat, f"{share.proxy}:{SIP_PORT}"]

    def _file(self, kind: str) -> Path:
        return self._files.with_name(f"{self._files.name}.{kind}")

    def _said(self) -> str:
        texts = [self._file(kind) for kind in ("errors", "log")]
        return "\n".join(text.read_text(encoding="utf-8", errors="replace")[-1500:] for text in texts if text.exists())


def totals(path: Path) -> Totals:
    """SIPp's own count at its end, from its statistics file.

    Raises:
        LedgerError: there is none, or a column is missing.
    """
    names = {"created": "TotalCallCreated", "successful": "SuccessfulCall(C)", "failed": "FailedCall(C)"}
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            *_, last = csv.DictReader(lines, delimiter=";")
        counts = {field: int(last[column]) for field, column in {**names, "current": "CurrentCall"}.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{path}: no count of calls in SIPp's statistics: {error!r}") from error
    return Totals(**counts)


def _ledger(calls: Sequence[Sequence[Call]]) -> Ledger:
    return Ledger(tuple(sorted((call for some in calls for call in some), key=lambda call: call.offered_s)))
