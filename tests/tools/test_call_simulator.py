"""The call simulator: no call is cut with all closings, some are without one, and what it says of rivals it counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scaler.retirement.closings import Closing
from tools.call_simulator.__main__ import main
from tools.call_simulator.calls import Tenant, calls_of, pods_for
from tools.call_simulator.conditions import Faults, Setting
from tools.call_simulator.fleet import run
from tools.call_simulator.mix import FAULTS, fleets
from tools.call_simulator.rivals import CRON, STOCK, run_rival
from tools.call_simulator.tally import Tally
from tools.call_simulator.without import WITHOUT
from tools.model_check.scenarios import Outside

ENOUGH_CALLS = 25_000
EVENING = Tenant(4, days=0.85, second_peak_h=19.0)


@pytest.fixture(scope="module")
def all_closings():
    total = Tally()
    for number, setting in enumerate(fleets(seed=3, most_pods=12)):
        total += run(setting, number)
        if total.offered >= ENOUGH_CALLS:
            break
    return total


def test_with_all_closings_faults_of_every_kind_cut_no_call(all_closings):
    assert (all_closings.cut, all_closings.recordings_lost, dict(all_closings.broken)) == (0, 0, {})


def test_nothing_is_safe_by_standing_still(all_closings):
    assert all_closings.pods_gone > 50
    assert all_closings.recalls > 10
    assert {"leader died", "PBX restart", "eviction", "trunk outage"} <= set(all_closings.faults)


@pytest.mark.parametrize("closing", [Closing.QUIET_WINDOW, Closing.PROOF_AT_DELETE, Outside.DELETE_ADMISSION])
def test_without_this_closing_calls_are_cut_and_with_it_none(closing):
    case = next(case for case in WITHOUT if case.closing is closing)
    assert case.tally(100, left_out=True, fleets=2).cut > 0
    assert case.tally(100, left_out=False, fleets=2).cut == 0


def test_every_closing_of_the_protocol_and_around_it_is_left_out_once():
    assert sorted(case.closing.value for case in WITHOUT) == sorted(one.value for one in (*Closing, *Outside))


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_fleet_without_faults_takes_its_calls(foreseen):
    tally = run(Setting(Tenant(3, days=0.5, foreseen=foreseen)), 1)
    assert tally.offered > 1000
    assert tally.refused < tally.offered / 100


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    setting = Setting(Tenant(2, days=0.3), FAULTS)
    assert vars(run(setting, 5)) == vars(run(setting, 5)) != vars(run(setting, 6))


def test_every_call_is_refused_cut_crashed_or_left_to_its_end():
    """A fleet whose only pod is deleted all the time loses exactly the calls that were on it."""
    setting = Setting(Tenant(1, days=0.2, flat=0.5), Faults(deletions=20.0, late_invite=0.0), swings_s=1e9)
    tally = run(replace(setting, outside=setting.outside - {Outside.DELETE_ADMISSION}), 2)
    kept = run(setting, 2)
    assert tally.offered == kept.offered
    assert tally.cut > 0 < tally.refused
    assert kept.cut == kept.refused == kept.crashed == 0


def test_the_calls_are_those_of_the_tenants_day():
    calls = calls_of(Tenant(10, days=4.0), np.random.default_rng(1))
    at = np.asarray(calls.starts_s) / 3600 % 24
    assert len(calls.starts_s) == pytest.approx(calls.load.sum() * 300 / (180 + 0.001 * 6465), rel=0.02)
    assert np.sum((at > 9) & (at < 11)) > 10 * np.sum((at > 1) & (at < 3))
    assert np.mean([one for one in calls.lasted_s if one < 3600]) == pytest.approx(170, rel=0.1)
    # Calls of two hours are conferences: the log-normal alone would make a third of them.
    assert sum(one > 2 * 3600 for one in calls.lasted_s) > 0.0002 * len(calls.lasted_s)
    assert pods_for(float(calls.forecast.max()), 12) == 10


def test_on_the_same_calls_a_stock_scale_in_cuts_and_a_patient_one_pays_in_pods():
    calls = calls_of(EVENING, np.random.default_rng(4))
    stock, cron = (run_rival(rival, EVENING, calls, 4) for rival in (STOCK, CRON))
    calltide = run(Setting(EVENING), 4, calls)
    assert stock.offered == cron.offered == calltide.offered
    assert stock.cut > cron.cut == calltide.cut == 0
    assert cron.pod_s > calltide.pod_s


def test_the_command_prints_what_it_counted_and_ends_well(capsys):
    assert main(["--calls", "500", "--seed", "2", "--markdown"]) == 0
    assert "| cut by scaling | 0 |" in capsys.readouterr().out


def test_the_command_says_when_a_closing_shows_nothing(capsys, monkeypatch):
    idle = replace(WITHOUT[0], setting=Setting(Tenant(1, days=0.05)), fleets=1)
    monkeypatch.setattr("tools.call_simulator.__main__.WITHOUT", (idle,))
    assert main(["--without", "all"]) == 1
    assert "zero-behind-gate" in capsys.readouterr().err
