"""`calltide drain POD` and `calltide recall POD`: a person's wish for one pod, as an annotation that calltide reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import fail
from scaler.cli.retirement_cluster import Context, Kubeconfig, Namespace, asks_cluster, cluster, named, twin
from scaler.core.fleets import FleetKey
from scaler.fleet.kubernetes.annotations import DRAIN, EVIDENCE, STATE, WISH, Told, told
from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.by_hand import ByHand, find_pod, fleet_of_pod, path_of
from scaler.fleet.kubernetes.fields import annotation_of, map_at, text_at
from scaler.fleet.kubernetes.objects import uid_of
from scaler.retirement.states import RetirementState, Wish

Pod = Annotated[str, typer.Argument(metavar="POD", help="The pod, as NAME or NAMESPACE/NAME.")]

_AFTERWARDS = {
    Wish.DRAIN: "It drains instead of another as soon as the fleet needs one pod less. Its calls go on until they end.",
    Wish.REPLACE: "It drains in any case, and a successor comes. Its calls go on until they end.",
    Wish.RECALL: "It takes calls again as soon as calltide has opened its gates.",
}


@asks_cluster
def drain(
    pod: Pod,
    namespace: Namespace = None,
    replace: Annotated[bool, typer.Option("--replace", help="Have it leave in any case, with a successor.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Ask for a pod to leave. No call is cut: it goes when it is proved empty."""
    key = named(pod, namespace)
    with cluster(kubeconfig, context) as by_hand:
        found = find_pod(by_hand, key.namespace, key.name)
        marks = _marks(by_hand, key, found)
        if marks.state is RetirementState.RELEASED:
            fail(f"{key} is released: it is empty, and calltide deletes it by itself.", ExitCode.FAILED)
        _wish(by_hand, key, found, Wish.REPLACE if replace else Wish.DRAIN)


@asks_cluster
def recall(
    pod: Pod,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Take back a pod that drains, or a wish that it should."""
    key = named(pod, namespace)
    with cluster(kubeconfig, context) as by_hand:
        found = find_pod(by_hand, key.namespace, key.name)
        marks = _marks(by_hand, key, found)
        if marks.state is RetirementState.RELEASED:
            fail(
                f"{key} is released, which cannot be taken back; the fleet gets another when it needs one.",
                ExitCode.FAILED,
            )
        if marks.pinned:
            _annotate(by_hand, key, found, {STATE: None, WISH: None})
            typer.echo(f"{key} serves; what stood on it means nothing and is gone: {marks.pinned}")
        elif marks.state.is_recallable:
            _wish(by_hand, key, found, Wish.RECALL)
        elif marks.wish is not None:
            _annotate(by_hand, key, found, {WISH: None})
            typer.echo(f"{key} had not begun to drain; the wish is taken back.")
        else:
            typer.echo(f"{key} serves; there is nothing to take back.")


def _marks(by_hand: ByHand, key: FleetKey, pod: JsonObject) -> Told:
    """What stands on a pod for which a wish makes sense."""
    if "deletionTimestamp" in map_at(pod, "metadata"):
        fail(f"{key} is terminating already; nothing stops that.", ExitCode.FAILED)
    if text_at(pod, "status", "phase") in ("Succeeded", "Failed"):
        fail(f"{key} has ended already; its controller takes it away.", ExitCode.FAILED)
    if fleet_of_pod(by_hand, pod) is None:
        fail(
            f"{key} belongs to no fleet of calltide: no ScaledObject that names a policy scales its workload, and it "
            "is not protected. End it as any other pod, or adopt its fleet: calltide adopt FLEET",
            ExitCode.FAILED,
        )
    return told(*(annotation_of(pod, name) or None for name in (STATE, DRAIN, EVIDENCE, WISH)))


def _wish(by_hand: ByHand, key: FleetKey, pod: JsonObject, wish: Wish) -> None:
    _annotate(by_hand, key, pod, {WISH: wish.value})
    typer.echo(f"{key}: the wish to {wish.value} stands. {_AFTERWARDS[wish]}")
    typer.echo("calltide acts on it where the fleet's policy has retirement.mode on and nothing is frozen.")
    typer.echo(f"Watch it: kubectl get pod -n {key.namespace} {key.name} -o yaml --watch, or the page of calltide.")
    typer.echo(twin("annotate", "pod", "-n", key.namespace, key.name, "--overwrite", f"{WISH}={wish.value}"))


def _annotate(by_hand: ByHand, key: FleetKey, pod: JsonObject, annotations: Mapping[str, str | None]) -> None:
    # By its UID, so that a StatefulSet's next pod of the same name does not get the wish.
    change = {"metadata": {"uid": uid_of(pod), "annotations": annotations}}
    by_hand.patch(path_of("Pod", key.namespace, key.name), change)
