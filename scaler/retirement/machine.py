"""The protocol's one function: what was observed, and what to write now.

It is asked every few seconds and after every event, and each time decides from what stands: nothing that an earlier
decision asked for is taken as done until it was read back. So a crash between any two writes, a lost write or a second
leader change when something happens, not what may happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scaler.retirement.actions import (
    Action,
    DeletePod,
    GateWrite,
    LowerScale,
    MovePod,
    PodWrite,
    ReleasePod,
    SetFrontGate,
    SetPodGate,
)
from scaler.retirement.closings import ALL_CLOSINGS, Closing, Closings
from scaler.retirement.evidence import DrainRecord, Ground
from scaler.retirement.limits import RetirementLimits
from scaler.retirement.observed import ObservedFleet, ObservedPod, Standstill
from scaler.retirement.proof import Memory, remembered
from scaler.retirement.readings import GatePosition, Reading, Steering, Unproved
from scaler.retirement.recall import recalls
from scaler.retirement.releases import dead_ground, may_force, refusal, release_evidence
from scaler.retirement.reports import Report, reports
from scaler.retirement.scene import Scene
from scaler.retirement.standstills import standstills
from scaler.retirement.states import Purpose, RetirementState, Wish
from scaler.retirement.target import lowered_target, waits_for_target
from scaler.retirement.victims import victims


@dataclass(frozen=True, slots=True)
class Decision:
    """What to remember, what to write, what KEDA is to be told, and why.

    `answer` and `alone` are None, which is to hold, while the need is not known. `standstills` is why nothing may
    leave, `waiting` why a single pod does not: sentences by UID.
    """

    memory: Memory
    actions: tuple[Action, ...]
    answer: int | None
    alone: int | None
    standstills: tuple[Standstill, ...]
    waiting: tuple[tuple[str, str], ...]
    reports: tuple[Report, ...]

    @property
    def explanation(self) -> str:
        """The decision in sentences: what is done, what holds, what is waited for."""
        done = [action.sentence for action in self.actions if isinstance(action, PodWrite | LowerScale)]
        held = [still.sentence for still in self.standstills]
        waits = [sentence for _, sentence in self.waiting]
        return " ".join([*done, *held, *waits]) or "Nothing to do."


def step(
    memory: Memory,
    observed: ObservedFleet,
    limits: RetirementLimits,
    now_s: float,
    closings: Closings = ALL_CLOSINGS,
) -> Decision:
    """One decision on one fleet at `now_s` (the leader's clock, seconds).

    At most one write per pod and one of the target; the caller asks whether it still leads before each of them.
    `closings` is for the model check alone.
    """
    scene = Scene(observed, remembered(memory, observed, limits, now_s, closings), limits, now_s, closings)
    still = standstills(scene)
    returning = recalls(scene)
    writes: dict[str, PodWrite] = {}
    for pod in returning:
        writes[pod.uid] = _recalled(pod)
    waiting: dict[str, str] = {}
    for pod in observed.pods:
        if pod.uid in writes or not pod.stands:
            continue
        outcome = _onward(scene, pod, still)
        if isinstance(outcome, str):
            waiting[pod.uid] = outcome
        elif outcome is not None:
            writes[pod.uid] = outcome
    if not still and not returning:
        for victim in victims(scene):
            record = DrainRecord(victim.purpose, victim.cause, observed.wall_s, observed.leader, observed.term)
            writes[victim.pod.uid] = _moved(victim.pod, RetirementState.DRAINING, record, victim.sentence)
    scale = None if _frozen(still) else lowered_target(scene)
    gates = tuple(write for pod in observed.pods for write in _gate_writes(scene, pod, returning))
    return Decision(
        memory=_with_recalls(scene.memory, returning, now_s),
        actions=(*writes.values(), *gates, *((scale,) if scale is not None else ())),
        answer=scene.answer(),
        alone=scene.alone(),
        standstills=still,
        waiting=tuple(waiting.items()),
        reports=reports(scene),
    )


def _onward(scene: Scene, pod: ObservedPod, still: tuple[Standstill, ...]) -> PodWrite | str | None:
    """The pod's next write, why there is none, or None when it just serves."""
    if pod.state is RetirementState.RELEASED:
        return _released(scene, pod, still)
    ground = dead_ground(scene, pod)
    if ground is not None and not pod.ready:
        why = f"{pod.name} is released: its node {pod.node} is gone."
        return "held: a freeze" if _frozen(still) else _release(pod, scene, ground, why)
    if not pod.state.is_recallable:
        return None
    proof = scene.proof(pod)
    if isinstance(proof, Unproved):
        if pod.state is RetirementState.DRAINED:
            return _moved(pod, RetirementState.DRAINING, pod.drain, f"{pod.name} drains again: {proof.sentence}.")
        return f"{pod.name} is not proved empty: {proof.sentence}."
    if pod.state is RetirementState.DRAINING:
        return _moved(pod, RetirementState.DRAINED, pod.drain, f"{pod.name} is proved empty.")
    why_not = still[0].sentence if still else refusal(scene, pod)
    if why_not is not None:
        return f"{pod.name} is empty and stays: {why_not.rstrip('.')}."
    return _release(pod, scene, proof, f"{pod.name} is released: proved empty, and the need is met without it.")


def _released(scene: Scene, pod: ObservedPod, still: tuple[Standstill, ...]) -> PodWrite | str:
    """A released pod is deleted once the target is lowered for it, as long as it is what its release says."""
    if not scene.evidence_holds(pod):
        proof = scene.proof(pod)
        if isinstance(proof, Unproved):
            return f"{pod.name} is released, and has to be proved empty once more: {proof.sentence}."
        if still:
            return f"{pod.name} is empty and stays: {still[0].sentence.rstrip('.')}."
        return _release(pod, scene, proof, f"{pod.name} is proved empty once more.")
    if _frozen(still):
        return f"{pod.name} is released and stays: {still[0].sentence.rstrip('.')}."
    if waits_for_target(scene):
        return f"{pod.name} is released; the target is lowered first."
    sentence = f"{pod.name} is deleted: released, and still as its evidence says."
    return DeletePod(pod.uid, pod.name, pod.version, sentence, force=may_force(pod))


def _release(pod: ObservedPod, scene: Scene, ground: Ground, sentence: str) -> ReleasePod:
    return ReleasePod(pod.uid, pod.name, pod.version, release_evidence(scene, pod, ground), sentence)


def _recalled(pod: ObservedPod) -> MovePod:
    if pod.wish is Wish.RECALL:
        why = "that was asked for"
    elif pod.drain is not None and pod.drain.purpose is Purpose.REPLACE:
        why = "what it was to be replaced for is no more"
    else:
        why = "it is needed again"
    return _moved(pod, RetirementState.ACTIVE, None, f"{pod.name} is recalled: {why}.")


def _moved(pod: ObservedPod, to: RetirementState, drain: DrainRecord | None, sentence: str) -> MovePod:
    return MovePod(pod.uid, pod.name, pod.version, pod.state, to, drain, sentence)


def _gate_writes(scene: Scene, pod: ObservedPod, returning: list[ObservedPod]) -> Iterator[GateWrite]:
    """What brings the gates where the annotation says, again at every step: a proxy that restarts forgets."""
    if not pod.stands or not pod.started:
        return
    if pod in returning and scene.has(Closing.ANNOTATION_BEFORE_GATE):
        return
    shut = pod.state.is_leaving and pod not in returning
    if shut and _is_still_needed(scene, pod):
        return
    position = GatePosition.CLOSED if shut else GatePosition.OPEN
    if scene.limits.pod_gate and isinstance(pod.reading, Reading) and pod.reading.gate is not position:
        yield SetPodGate(pod.uid, pod.reading.boot, position)
    steering = Steering.AWAY if shut else Steering.TOWARDS
    for gate in pod.front:
        if gate.steering is not steering:
            yield SetFrontGate(pod.uid, gate.proxy, steering)


def _is_still_needed(scene: Scene, pod: ObservedPod) -> bool:
    """Whether a pod has to go on taking calls, since those that stay could not carry them yet.

    One that is replaced waits so for its successor. And two leaders may each have drained a pod that the other counted
    on: each edge was right alone, so the floor is asked for once more where calls are turned away.
    """
    begun = pod.state is not RetirementState.DRAINING or scene.memory.of(pod.uid).shut is not None
    return not begun and not scene.covers_lead()


def _frozen(still: tuple[Standstill, ...]) -> bool:
    return any(one.stops_deletes for one in still)


def _with_recalls(memory: Memory, returning: list[ObservedPod], now_s: float) -> Memory:
    back = {pod.uid for pod in returning}
    return Memory(tuple(replace(pod, recalled_s=now_s) if pod.uid in back else pod for pod in memory.pods))
