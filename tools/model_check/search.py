"""Breadth-first through all states, so that what is found is found by the shortest way."""

from __future__ import annotations

from dataclasses import dataclass, field

from tools.model_check.fair import comes_to_rest
from tools.model_check.promises import Promise
from tools.model_check.world import Model, World

FIRST_FAIR = 100
"""From so many of the first states a fair run is tried in any case: small worlds have no more."""


@dataclass
class Found:
    """What a search came to. `trace` leads to the broken promise; `complete` says whether every state was seen.

    `rested` counts the states from which a fair run was tried.
    """

    states: int = 0
    steps: int = 0
    broken: str = ""
    trace: list[str] = field(default_factory=list)
    complete: bool = True
    rested: int = 0


def search(model: Model, most_states: int = 10_000_000, *, fair_every: int = 0) -> Found:
    """Walk until a promise breaks, every state was seen, or `most_states` are known.

    From the first states and every `fair_every`-th (0: none) a fair run has to come to rest.
    """
    first = model.first()
    came: dict[World, tuple[World, str] | None] = {first: None}
    level, found = [first], Found()
    while level:
        following: list[World] = []
        for world in level:
            for step in model.steps(world):
                found.steps += 1
                if step.broken:
                    found.broken, found.trace = step.broken, [*_way(came, world), step.event]
                    found.states = len(came)
                    return found
                if step.world in came:
                    continue
                came[step.world] = (world, step.event)
                following.append(step.world)
                if fair_every and (len(came) < FIRST_FAIR or len(came) % fair_every == 0):
                    found.rested += 1
                    if not comes_to_rest(model, step.world):
                        found.broken, found.trace = Promise.NO_REST, _way(came, step.world)
                        found.states = len(came)
                        return found
            if len(came) > most_states:
                found.states, found.complete = len(came), False
                return found
        level = following
    found.states = len(came)
    return found


def _way(came: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    events = []
    before = came[world]
    while before is not None:
        events.append(before[1])
        before = came[before[0]]
    return events[::-1]
