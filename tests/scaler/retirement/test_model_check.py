"""The model check itself: small worlds hold, each closing's absence shows, and a search that finds nothing says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.retirement.closings import Closing
from tools.model_check import leader
from tools.model_check.pods import PodW
from tools.model_check.promises import Promise
from tools.model_check.scenarios import ALL_OUTSIDE, Outside, Scenario, quick
from tools.model_check.search import search
from tools.model_check.without import WITHOUT
from tools.model_check.world import Model

TWO_PODS = [world for world in quick() if len(world.pods) <= 2]
QUICKLY_SHOWN = [case for case in WITHOUT if case.scenario.budget <= 1 and not case.scenario.changes]


def smaller(world: Scenario) -> Scenario:
    return replace(world, calls=1, budget=0, changes=0, legs=False)


@pytest.mark.parametrize("world", TWO_PODS, ids=lambda world: world.name)
def test_without_faults_every_promise_is_kept_and_every_drain_ends(world):
    found = search(Model(smaller(world)), fair_every=50)
    assert (found.broken, found.complete) == ("", True), found.trace


def test_a_drain_goes_all_the_way_so_that_nothing_is_safe_by_doing_nothing():
    model = Model(smaller(quick()[0]))
    reached, level = {model.first()}, [model.first()]
    while level:
        level = [step.world for world in level for step in model.steps(world) if step.world not in reached]
        reached.update(level)
        level = list(dict.fromkeys(level))
    assert any(len(world.pods) == world.replicas == 1 for world in reached)


@pytest.mark.parametrize("case", QUICKLY_SHOWN, ids=lambda case: case.closing.value)
def test_without_this_closing_a_promise_breaks(case):
    found = search(case.model(), 50_000)
    assert found.broken, f"{case.closing} guards nothing in {case.scenario.name}: {found.states} states"


def test_every_closing_is_left_out_once():
    assert sorted(case.closing.value for case in WITHOUT) == sorted(closing.value for closing in (*Closing, *Outside))


def test_a_counterexample_is_the_shortest_and_can_be_read():
    case = next(case for case in WITHOUT if case.closing is Outside.DELETE_ADMISSION)
    found = search(case.model())
    assert found.broken == Promise.CUT
    assert found.trace == ["a call is let in (pod, active, 0 calls)", "kubectl deletes it (pod, active, 1 calls)"]


def test_a_released_pod_that_came_to_carry_a_call_cannot_be_deleted_by_others():
    faults = dict.fromkeys(("restart", "takeover", "foreign"), 1)
    world = replace(TWO_PODS[0], calls=1, needs=(1,), changes=0, legs=False, faults=faults, budget=3)
    anybody = search(Model(world, outside=ALL_OUTSIDE - {Outside.RELEASED_ADMISSION}))
    assert anybody.broken == Promise.CUT
    assert anybody.trace[-1].startswith(("kubectl", "it is evicted", "the controller"))
    found = search(Model(world))
    assert (found.broken, found.complete) == ("", True)


def test_a_search_that_was_ended_early_does_not_call_itself_complete():
    assert not search(Model(quick()[0]), 500).complete


def test_what_the_leader_remembers_grows_old():
    read = PodW(state=1, shut=True)
    reading = leader.probe(read, answered=True)
    memory = replace(read.memory, newest=reading, zeros_at_s=(0.0,))
    kept = leader.aged(memory, frozenset(Closing) - {Closing.FRESH_READING})
    assert (kept.newest.asked_at_s, kept.zeros_at_s) == (-1.0, (-1.0,))
    assert leader.aged(memory, frozenset(Closing)).zeros_at_s == ()
