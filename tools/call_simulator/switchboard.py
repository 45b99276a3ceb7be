"""How calls reach pods and how they end: proxies that choose, pods that refuse, setups that take their time.

It knows nothing of who scales the fleet, so that every way of scaling is given the same calls in the same manner.
"""

from __future__ import annotations

from random import Random

from tools.call_simulator.calls import Calls
from tools.call_simulator.conditions import Faults
from tools.call_simulator.pods import Pod
from tools.call_simulator.tally import Tally
from tools.call_simulator.timeline import Timeline

LONGEST_SETUP_S = 30.0


class Switchboard:
    """The pods of one fleet and the calls on them. With `gates_refuse` false a shut pod gate lets calls in."""

    def __init__(
        self,
        timeline: Timeline,
        calls: Calls,
        tally: Tally,
        rng: Random,
        faults: Faults,
        *,
        channels_per_pod: int,
        proxies: int = 0,
        recordings: float = 0.0,
        gates_refuse: bool = True,
    ) -> None:
        self.timeline, self.calls, self.tally, self.rng, self.faults = timeline, calls, tally, rng, faults
        self.channels_per_pod, self.proxies, self.recordings = channels_per_pod, proxies, recordings
        self.gates_refuse = gates_refuse
        self.pods: list[Pod] = []
        self.trunk_up = True
        self.channels = 0
        self._next = 0

    def arrive(self, call: int) -> None:
        """A caller dials. Each pod that refuses is followed by the next; the last refusal is the caller's."""
        if not self.trunk_up:
            self.tally.at_trunk += 1
            return
        self.tally.offered += 1
        pod = self._chosen(call)
        if pod is None:
            self.tally.refused += 1
        elif self.rng.random() < self.faults.late_invite:
            self.timeline.after(self.rng.uniform(0.5, LONGEST_SETUP_S), self._tried_late, call, pod)
        else:
            self._let_in(pod, call)

    def lose(self, pod: Pod) -> int:
        """End all that lives on a pod, and say how many calls that were."""
        lost = pod.live
        self.channels -= len(pod.calls)
        pod.calls.clear()
        pod.setting_up.clear()
        return lost

    def hang_up_most(self) -> None:
        """The trunk fails: callers are gone, and the calls end as if they had hung up."""
        for pod in self.pods:
            ended = [call for call in pod.calls if self.rng.random() < 0.9]
            for call in ended:
                del pod.calls[call]
            self.channels -= len(ended)

    def _chosen(self, call: int) -> Pod | None:
        pods = self.pods
        proxy = call % self.proxies if self.proxies else -1
        for turn in range(len(pods)):
            pod = pods[(self._next + turn) % len(pods)]
            if (proxy < 0 or pod.steered[proxy]) and self._takes(pod):
                self._next = (self._next + turn + 1) % len(pods)
                return pod
        return None

    def _takes(self, pod: Pod) -> bool:
        open_ = not pod.shut or not self.gates_refuse
        return pod.up and open_ and pod.live < self.channels_per_pod

    def _tried_late(self, call: int, pod: Pod) -> None:
        """The destination was chosen before; whether it refuses now is for the pod alone to say."""
        other = pod if not pod.gone and self._takes(pod) else self._chosen(call)
        if other is None:
            self.tally.refused += 1
        else:
            self._let_in(other, call)

    def _let_in(self, pod: Pod, call: int) -> None:
        if self.rng.random() < self.faults.slow_setup:
            pod.setting_up.add(call)
            self.timeline.after(self.rng.uniform(1.0, LONGEST_SETUP_S), self._answered, pod, call)
        else:
            self._becomes_channel(pod, call)

    def _answered(self, pod: Pod, call: int) -> None:
        if call in pod.setting_up:
            pod.setting_up.remove(call)
            self._becomes_channel(pod, call)

    def _becomes_channel(self, pod: Pod, call: int) -> None:
        pod.calls[call] = self.timeline.now_s
        self.channels += 1
        self.timeline.after(self.calls.lasted_s[call], self._ended, pod, call)

    def _ended(self, pod: Pod, call: int) -> None:
        if pod.calls.pop(call, None) is None:
            return
        self.channels -= 1
        if self.recordings and self.rng.random() < self.recordings:
            pod.recordings += 1
            self.timeline.after(self.rng.uniform(2.0, 90.0), self._recorded, pod, pod.boot)

    def _recorded(self, pod: Pod, boot: int) -> None:
        if pod.boot == boot and not pod.gone:
            pod.recordings -= 1
