"""The two proxies on a rig's cluster, and callers who go through them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.rig.control_plane import has
from tests.rig.place import CALLERS_PART
from tests.rig.rig import Rig
from tests.rig.voice import workloads
from tests.rig.voice.callers import Callers
from tests.servers.processes import wait_for

PROXIES = 2


class Telephony:
    """Proxies that know every fleet of the cluster by its pods' label, and a place to call from."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def apply(self) -> None:
        """Start the proxies; both are Ready when this returns."""
        self._rig.control_plane.apply(*workloads.proxies())
        wait_for(lambda: len(self.proxies()) == PROXIES, "both proxies to be Ready", at_most_s=120)

    def proxies(self) -> tuple[str, ...]:
        """Addresses of the proxies that are Ready."""
        path = f"/api/v1/namespaces/{workloads.PROXY_NAMESPACE}/pods"
        return tuple(
            sorted(
                pod["status"]["podIP"]
                for pod in self._rig.control_plane.items(path, labelSelector=workloads.PROXY_LABELS)
                if has(pod, "Ready")
            )
        )

    def callers(self, proxies: Sequence[str] = ()) -> Callers:
        """Callers through these proxies, by default through all that are Ready."""
        place = self._rig.place
        return Callers(proxies or self.proxies(), place.address(1, part=CALLERS_PART), place.folder / "calls")
