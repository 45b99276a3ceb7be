"""The simulated platform: pods rise with the answer, serve after their lead, and go only when no call is on them."""

import asyncio

import numpy as np
import pytest

from scaler.core.fleets import FleetKey, PodState

KEY = FleetKey("demo", "acme")


def run(coroutine):
    return asyncio.run(coroutine)


def test_the_fleet_begins_as_if_it_had_been_there_with_room_for_its_calls(played, steady_calls):
    game = played(steady_calls(every_s=1), answer=1)  # 180 calls in progress
    run(game.fleets.step())
    fleet = game.fleet
    assert fleet.count(PodState.SERVING) == fleet.spec_replicas == 6  # 180 / (0.6 × 50)
    assert game.calls.channels == 180
    assert len(game.fleets.pod_leads_s()[KEY]) == 6


def test_an_answer_raises_the_fleet_and_new_pods_serve_only_after_their_lead(played, steady_calls):
    game = played(steady_calls(), answer=10)
    run(game.play(0))
    before = game.fleet
    assert before.spec_replicas == 10
    assert before.count(PodState.STARTING) == 10 - before.count(PodState.SERVING) > 0
    run(game.play(30))
    assert all(game.calls.on_pods[pod.name] == 0 for pod in game.fleet.pods if pod.state is PodState.STARTING)

    run(game.play(600))
    after = game.fleet
    assert after.count(PodState.SERVING) == 10
    new = [pod for pod in after.pods if pod.created_s >= before.observed_at_s]
    assert new
    assert all(30 < pod.ready_s - pod.created_s < 300 for pod in new)
    seen_ready = {pod.uid for pod in before.pods if pod.state is PodState.SERVING}
    assert all(pod.uid not in seen_ready for pod in new)


def test_leads_are_those_of_pods_that_are_ready_in_the_order_of_their_readiness(played, steady_calls):
    game = played(steady_calls(), answer=40, lead_median_s=85.0)
    run(game.play(15))
    some = game.fleets.pod_leads_s()[KEY]
    run(game.play(900))
    leads = game.fleets.pod_leads_s()[KEY]
    assert len(leads) == 40
    assert leads[: len(some)] == some
    assert 70 < np.median(leads) < 100


def test_the_same_seed_plays_the_same_fleet(played, steady_calls):
    first, second = played(steady_calls(), answer=9), played(steady_calls(), answer=9)
    run(first.play(300))
    run(second.play(300))
    assert first.fleet == second.fleet


def test_a_lower_answer_never_lowers_a_fleet_whose_pods_carry_calls(played, steady_calls):
    game = played(steady_calls(every_s=10, holding_s=10**5), channels_per_pod=40_000, answer=30)
    run(game.play(600))
    game.answers.number = 1
    run(game.play(3600))
    # A call that lasts a day is on every pod.
    assert game.fleet.spec_replicas == 30
    assert game.fleet.count(PodState.DRAINING) > 0


def test_surplus_pods_go_one_by_one_once_the_answer_stayed_low_and_no_call_is_cut(played, steady_calls):
    game = played(steady_calls(every_s=2), answer=12)
    run(game.play(900))
    game.answers.number = 4
    run(game.play(570))
    assert game.fleet.spec_replicas == 12
    run(game.play(1800))
    assert game.fleet.spec_replicas == 4
    assert game.calls.channels == 90
    assert game.calls.refused == 0


def test_an_answer_that_rises_again_takes_draining_pods_back_before_it_makes_new_ones(played, steady_calls):
    game = played(steady_calls(every_s=10, holding_s=10**5), channels_per_pod=40_000, answer=10)
    run(game.play(600))
    game.answers.number = 6
    run(game.play(1200))
    pods = {pod.uid for pod in game.fleet.pods}
    assert game.fleet.count(PodState.DRAINING) == 4
    game.answers.number = 9
    run(game.play(0))
    assert game.fleet.count(PodState.DRAINING) == 1
    assert {pod.uid for pod in game.fleet.pods} == pods


def test_an_answer_that_fails_changes_nothing_and_is_told(played, steady_calls):
    game = played(steady_calls(), answer=8)
    run(game.play(600))
    before = game.fleet
    game.answers.number = None
    run(game.play(3600))
    assert game.fleet.pods == before.pods
    assert "no answer today" in game.fleets.unanswered[KEY]
    game.answers.number = 9
    run(game.play(0))
    assert game.fleet.spec_replicas == 9
    assert game.fleets.unanswered == {}


@pytest.mark.parametrize(("answer", "replicas"), [(1000, 20), (-5, 3), (0, 3)])
def test_bounds_hold_whatever_the_answer(played, steady_calls, answer, replicas):
    game = played(steady_calls(every_s=0), answer=answer, minimum_replicas=3, maximum_replicas=20)
    run(game.play(0))
    assert game.fleet.spec_replicas == replicas


def test_calls_are_refused_when_every_pod_is_full_and_only_then(played, steady_calls):
    short = played(steady_calls(every_s=1, channels=2), channels_per_pod=60, answer=4, maximum_replicas=4)
    run(short.play(3600))
    assert short.calls.refused > 0
    assert max(short.calls.on_pods.values()) == 60
    assert short.calls.offered == 3600

    ample = played(steady_calls(every_s=1, channels=2), channels_per_pod=60, answer=8)
    run(ample.play(3600))
    assert ample.calls.refused == 0
    assert ample.calls.channels == 360


def test_calls_go_to_the_least_loaded_pod(played, steady_calls):
    game = played(steady_calls(every_s=1), answer=6)
    run(game.play(900))
    on_pods = game.calls.on_pods.values()
    assert max(on_pods) - min(on_pods) <= 1


def test_after_a_long_pause_the_time_between_is_not_played(played, steady_calls):
    game = played(steady_calls(every_s=1), answer=6)
    run(game.play(60))
    offered = game.calls.offered
    game.clock.time_s += 8 * 3600
    run(game.fleets.step())
    assert game.calls.offered == offered
    assert game.calls.channels == 180


def test_it_plays_by_itself_between_start_and_stop(played, steady_calls):
    async def play():
        game = played(steady_calls(), answer=7)
        assert not game.fleets.seen().complete
        game.clock.speed = 1e6
        await game.fleets.start()
        while game.fleet.spec_replicas != 7:
            game.clock.time_s += 15
            await asyncio.sleep(0)
        seen = game.fleets.seen()
        await game.fleets.stop()
        return seen

    seen = run(play())
    assert seen.complete
    assert seen.problem is None


def test_a_simulation_that_broke_says_so(played, steady_calls):
    async def play():
        calls = steady_calls()
        game = played(calls)
        calls.in_progress = None
        await game.fleets.start()
        await asyncio.wait([game.fleets._task])
        return game.fleets.seen()

    seen = run(play())
    assert not seen.complete
    assert "has ended: TypeError" in seen.problem
