"""What stops everything that leads towards a release, whatever is proved of a single pod.

A proof says that nobody talks through a pod. It does not say that the pod can be spared: a fall of load that all
tenants share is an outage about to end, many silent pods are a changed password, and a pod that goes while no new one
can come is missing in the next peak.
"""

from __future__ import annotations

from collections.abc import Iterator

from scaler.core import wording
from scaler.retirement.closings import Closing
from scaler.retirement.observed import Standstill, WayUp
from scaler.retirement.readings import Unproved
from scaler.retirement.scene import Scene

UNMADE_S = 30.0
"""A controller makes a pod within moments. One that it could not make for this long was refused again and again."""
FEWEST_UNPROVED = 2
"""One silent pod is that pod's trouble."""


def standstills(scene: Scene) -> tuple[Standstill, ...]:
    """Everything that keeps pods from being drained or released now, each with its sentence."""
    found: list[Standstill] = []
    if scene.has(Closing.BREAKERS):
        found += scene.observed.standstills
        found += _mass_unproved(scene)
    if scene.has(Closing.WAY_UP):
        found += _way_up(scene)
    if isinstance(scene.observed.need, Unproved) and scene.has(Closing.NEED_WITHOUT_POD):
        found.append(Standstill("need-unknown", f"The need is not known: {scene.observed.need.sentence}."))
    return tuple(found)


def _way_up(scene: Scene) -> list[Standstill]:
    way_up = scene.observed.way_up
    if isinstance(way_up, Unproved):
        return [Standstill("way-up", f"Whether a new pod could come is not known: {way_up.sentence}.")]
    faults = [*way_up.faults, *_unmade(scene, way_up)]
    return [Standstill("way-up", f"No new pod could come now: {'; '.join(faults)}.")] if faults else []


def _unmade(scene: Scene, way_up: WayUp) -> Iterator[str]:
    """Pods of the target that are needed and that nobody makes. Those that nobody needs any more say nothing."""
    answer = scene.answer()
    lacking = 0 if answer is None else answer - sum(not pod.terminal for pod in scene.observed.pods)
    if lacking > 0 and way_up.unmade_s > UNMADE_S:
        yield f"for {way_up.unmade_s:.0f} s nobody has made {wording.pods(lacking)} of the target"


def _mass_unproved(scene: Scene) -> list[Standstill]:
    asked = [pod for pod in scene.observed.pods if scene.observed.should_answer(pod)]
    silent = sum(map(scene.observed.is_unproved, asked))
    if silent < max(FEWEST_UNPROVED, scene.limits.mass_unproved_share * len(asked)):
        return []
    sentence = (
        f"{wording.pods(silent)} of {len(asked):,} do not say how many channels they carry. So many at once are rather "
        "a changed password or a network fault than pods at fault: look at one of them."
    )
    return [Standstill("mass-unproved", sentence)]
