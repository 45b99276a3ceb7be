"""For each closing a fleet under the faults that it is there for: without it calls are cut, or another promise breaks.

Where one closing lies behind another, so that leaving it out alone cuts nothing, the other is left out as well, and the
table says so; the same fleets with that one closing back in force are what it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scaler.retirement.closings import Closing
from scaler.retirement.observed import Workload
from tools.call_simulator.calls import Tenant
from tools.call_simulator.conditions import Faults, Setting
from tools.call_simulator.fleet import run
from tools.call_simulator.tally import Tally
from tools.model_check.promises import Promise
from tools.model_check.scenarios import Outside

AnyClosing = Closing | Outside


@dataclass(frozen=True)
class Without:
    """One closing left out of fleets of one setting. `shows` is the figure that its absence is seen by."""

    closing: AnyClosing
    setting: Setting
    shows: str = "cut"
    also: tuple[AnyClosing, ...] = ()
    fleets: int = 12

    def setting_with(self, *, left_out: bool) -> Setting:
        """The setting without it, or with it all the same."""
        out = {*self.also, self.closing} if left_out else set(self.also)
        return replace(self.setting, closings=self.setting.closings - out, outside=self.setting.outside - out)

    def tally(self, seed: int, *, left_out: bool, fleets: int | None = None) -> Tally:
        """Run the fleets, with the same calls and the same seeds whether or not it is left out."""
        total = Tally()
        for number in range(self.fleets if fleets is None else fleets):
            total += run(self.setting_with(left_out=left_out), seed + number)
        return total


_SMALL = Setting(
    Tenant(3, days=0.25, flat=0.15, mean_s=30.0, conferences=0.0),
    proxies=0,
    swings_s=300.0,
    look_ahead_s=0.0,
    dwell_s=0.0,
)
"""Short calls, and a need that nobody foresees: pods come and go all day long."""
_BUSY = replace(_SMALL.tenant, flat=0.3, mean_s=10.0)
_DAY = Setting(Tenant(6, days=1.0, foreseen=False), look_ahead_s=600.0, max_at_once=2)


def _small(faults: Faults | None = None, **changed: object) -> Setting:
    return replace(_SMALL, faults=faults or Faults(), **changed)  # type: ignore[arg-type]


_PROOF = (Closing.PROOF_AT_DELETE,)
_SLOW = Faults(slow_setup=0.6, rollouts=6.0)
_RESTARTS = Faults(pbx_restarts=60.0, slow_setup=0.6, shut_by_another=1.0, probe_times_out=0.5, rollouts=6.0)
_HANGS = Faults(restarts_when_drained=0.8, probe_hangs=0.5, hang_s=3.0, rollouts=6.0)
_DYING = Faults(dies_after_release=0.4, write_late=0.3, rollouts=3.0)
_STRUCK = Faults(dies_after_release=0.7, restarts_after_release=0.7)

WITHOUT = (
    Without(Closing.ZERO_BEHIND_GATE, _small(replace(_SLOW, gate_write_lost=0.95))),
    Without(
        Closing.PROOF_OF_THIS_DRAIN,
        _small(Faults(gate_write_lost=0.8, gate_write_late=0.8), proxies=2, pod_gate=False, swings_s=60.0),
        also=_PROOF,
        fleets=24,
    ),
    Without(Closing.QUIET_WINDOW, _small(_SLOW)),
    Without(Closing.SAME_BOOT, _small(_RESTARTS), also=_PROOF, fleets=24),
    Without(Closing.UNPROVED_IS_BUSY, _small(Faults(probe_times_out=0.7)), also=_PROOF),
    Without(
        Closing.FRESH_READING,
        _small(
            Faults(restarts_when_drained=0.8, probe_hangs=0.2, hang_s=120.0, write_lost=0.7),
            unseen_restarts=True,
            restart_s=(6.0, 9.0),
        ),
        also=(Closing.VERSION_BEFORE_READING,),
    ),
    Without(Closing.VERSION_BEFORE_READING, _small(_HANGS, restart_s=(0.3, 1.0))),
    Without(Closing.PENDING_WORK, _small(recordings=1.0), shows="recordings_lost", also=_PROOF),
    Without(Closing.COMPARE_AND_SWAP, _small(_DYING, swings_s=60.0), also=_PROOF),
    Without(
        Closing.ANNOTATION_BEFORE_GATE,
        _small(replace(_DYING, write_late=0.8), tenant=_BUSY, swings_s=60.0, latest_write_s=30.0),
        also=_PROOF,
        fleets=36,
    ),
    Without(Closing.RELEASED_IS_FINAL, _small(replace(_DYING, evictions=120.0, deletions=60.0), swings_s=60.0)),
    Without(Closing.PROOF_AT_DELETE, _small(_STRUCK)),
    Without(Closing.DELETE_PRECONDITIONS, _small(_STRUCK, swings_s=120.0)),
    Without(
        Closing.SCALE_TEST,
        _small(Faults(write_late=0.7), swings_s=60.0),
        shows=Promise.LATE_TARGET,
        also=(Outside.WRITE_DEADLINE,),
    ),
    Without(Closing.SCALE_ABOVE_ANSWER, _small(), shows=Promise.TARGET_TOO_LOW),
    Without(Closing.NEED_WITHOUT_POD, _DAY, shows=Promise.NEEDED, fleets=4),
    Without(Closing.WAY_UP, replace(_DAY, faults=Faults(way_up_breaks=0.5)), shows=Promise.WAY_UP, fleets=4),
    Without(Closing.BREAKERS, replace(_DAY, faults=Faults(trunk_outages=0.3)), shows=Promise.FREEZE, fleets=4),
    Without(Closing.TAIL_FIRST, _small(workload=Workload.STATEFUL_SET), shows=Promise.TAIL),
    Without(Closing.FRONT_GATES, _small(replace(_SLOW, proxy_unreachable=6.0), proxies=2, pod_gate=False)),
    Without(Closing.LEASE_AND_SILENCE, _small(Faults(node_loses_api=1.0))),
    Without(Outside.BORN_PROTECTED, _small(Faults(deletions=60.0))),
    Without(Outside.DELETE_ADMISSION, _small(Faults(deletions=60.0))),
    Without(Outside.RELEASED_ADMISSION, _small(replace(_STRUCK, evictions=120.0, deletions=120.0))),
    Without(Outside.DISRUPTION_BUDGET, _small(Faults(evictions=60.0))),
    Without(Outside.SCALE_ADMISSION, _small(Faults(lowered_by_hand=2.0)), shows=Promise.FOREIGN_TARGET),
    Without(Outside.HPA_ONLY_RAISES, _small(), shows=Promise.FOREIGN_TARGET, also=(Outside.SCALE_ADMISSION,)),
    Without(Outside.ZERO_TOLERANCE, _small(), shows=Promise.TARGET_TOO_HIGH),
    Without(
        Outside.GATE_DEADLINE,
        _small(Faults(gate_write_late=0.7), swings_s=60.0),
        also=_PROOF,
        fleets=24,
    ),
    Without(Outside.WRITE_DEADLINE, _small(_STRUCK, swings_s=900.0), also=(Outside.RELEASED_ADMISSION,), fleets=24),
    Without(Outside.POD_GATE, _small(Faults(late_invite=0.6, rollouts=6.0))),
)
