"""What stands on the rig of `make rig`: calltide, two proxies and one fleet of PBXs that nobody scales yet."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.rig import fleets
from tests.rig.installation import Installation
from tests.rig.rig import Rig
from tests.rig.telephony import Telephony
from tests.rig.voice import workloads

NAMESPACE, FLEET = "pbx", "acme"
CALLS_PER_POD = 10

POLICY = f"""
apiVersion: calltide.io/v1
kind: Policy
metadata:
  name: rig
spec:
  history:
    channels: sum by (tenant) (max_over_time(asterisk_channels_count[10s]))
    lookBack: 1d
  capacity:
    channelsPerPod: {CALLS_PER_POD}
    targetOccupancy: 0.8
  reactive:
    maximumDataAge: 30s
  maxPods: 20
"""

_INSTRUCTIONS = """
calltide: {pages} (one leads, the other says so)
Fleet {namespace}/{fleet}: one Asterisk that carries {calls} calls, behind the proxies {proxies}.

  kubectl apply -f {scaled_object}
      has calltide scale it: examples/scaledobject.yaml, with names of the rig
  kubectl -n {namespace} get deployment {fleet} --watch
  .venv/bin/python -m tests.rig call --fleet {fleet} --rate 1 --hold 30 --for 120
      30 calls at a time, and what became of each
"""


@dataclass(frozen=True, slots=True)
class Furnished:
    """How to go on from a furnished rig, and where its proxies are."""

    instructions: str
    proxies: tuple[str, ...]


def furnish(rig: Rig) -> Furnished:
    """Put all of it onto a running rig."""
    telephony, calltide = Telephony(rig), Installation(rig)
    calltide.apply()
    calltide.add_policy("rig", POLICY)
    telephony.apply()
    environment = {"ASTERISK_MAXCALLS": str(CALLS_PER_POD)}
    fleet = workloads.fleet(FLEET, namespace=NAMESPACE, replicas=1, environment=environment)
    rig.control_plane.apply(fleets.namespace(NAMESPACE), fleet)
    metadata = {"scalerAddress": calltide.address, "policy": "rig", "tenant": FLEET}
    scaled_object = rig.place.folder / "scaledobject.json"
    made = fleets.scaled_object(FLEET, namespace=NAMESPACE, metadata=metadata, maximum=20)
    scaled_object.write_text(json.dumps(made, indent=1), encoding="utf-8")
    instructions = _INSTRUCTIONS.format(
        pages=", ".join(calltide.pages()),
        namespace=NAMESPACE,
        fleet=FLEET,
        calls=CALLS_PER_POD,
        proxies=", ".join(telephony.proxies()),
        scaled_object=scaled_object,
    )
    return Furnished(instructions, telephony.proxies())
