"""`calltide freeze` and `calltide thaw`: nothing is drained, released or deleted, for a while and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import fail
from scaler.cli.retirement_cluster import Context, Kubeconfig, Namespace, asks_cluster, cluster, named, twin
from scaler.fleet.kubernetes.annotations import ENABLED, FREEZE
from scaler.fleet.kubernetes.api import JsonObject
from scaler.fleet.kubernetes.by_hand import ByHand, NamelessError, find_workload, namespace_path, path_of
from scaler.fleet.kubernetes.doctor.guards import IS_ENABLED
from scaler.fleet.kubernetes.fields import annotation_of, label_of, name_of
from scaler.policy.durations import parse_duration

LONGEST_REASON = 300

Fleet = Annotated[
    str | None, typer.Argument(metavar="[FLEET]", help="The fleet, as NAMESPACE/NAME; a bare name lies in `default`.")
]
Every = Annotated[
    bool, typer.Option("--all", help="Every namespace with retirement, and so every fleet there; with -n that one.")
]


@dataclass(frozen=True, slots=True)
class _Target:
    """What bears the annotation: a workload, or a namespace for all its fleets."""

    name: str
    path: str
    kubectl: tuple[str, ...]
    item: JsonObject


@asks_cluster
def freeze(
    fleet: Fleet = None,
    *,
    every: Every = False,
    namespace: Namespace = None,
    lasts: Annotated[str, typer.Option("--for", help="For how long, like 4h or 30m.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever finds it.")],
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Let nothing leave for a while: no drain, no release, no delete. Recalls go on."""
    try:
        until = datetime.now(UTC) + timedelta(seconds=parse_duration(lasts))
    except (ValueError, OverflowError) as error:
        fail(f"--for: {error}", ExitCode.USAGE)
    text = " ".join(reason.split())
    if not text or len(text) > LONGEST_REASON:
        fail(f"--reason: say why in 1 to {LONGEST_REASON} characters.", ExitCode.USAGE)
    with cluster(kubeconfig, context) as by_hand:
        targets = _targets(by_hand, fleet, namespace, every=every)
        who = by_hand.user()
        value = f"until={until:%Y-%m-%dT%H:%M:%SZ} {text}{f' ({who})' if who else ''}"
        for target in targets:
            by_hand.patch(target.path, {"metadata": {"annotations": {FREEZE: value}}})
            before = annotation_of(target.item, FREEZE)
            typer.echo(f"{target.name} is frozen: {value}{f' (before: {before})' if before else ''}")
            typer.echo(twin("annotate", *target.kubectl, "--overwrite", f"{FREEZE}={value}"))


@asks_cluster
def thaw(
    fleet: Fleet = None,
    *,
    every: Every = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """End a freeze before its time, and say whose it was."""
    with cluster(kubeconfig, context) as by_hand:
        for target in _targets(by_hand, fleet, namespace, every=every):
            before = annotation_of(target.item, FREEZE)
            if before:
                by_hand.patch(target.path, {"metadata": {"annotations": {FREEZE: None}}})
                typer.echo(f"{target.name} is thawed. It was frozen: {before}")
                typer.echo(twin("annotate", *target.kubectl, f"{FREEZE}-"))
            else:
                typer.echo(f"{target.name} was not frozen.")
        if fleet is not None:
            _tell_of_the_namespace(by_hand, named(fleet, namespace).namespace)


def _tell_of_the_namespace(by_hand: ByHand, namespace: str) -> None:
    why = annotation_of(by_hand.find(namespace_path(namespace)) or {}, FREEZE)
    if why:
        typer.echo(f"Its namespace is frozen still: {why}. End that by: calltide thaw --all -n {namespace}")


def _targets(by_hand: ByHand, fleet: str | None, namespace: str | None, *, every: bool) -> list[_Target]:
    if (fleet is None) != every:
        fail("Name a fleet or say --all, and not both.", ExitCode.USAGE)
    if fleet is not None:
        key = named(fleet, namespace)
        kind, workload = find_workload(by_hand, key)
        path, name = path_of(kind, key.namespace, name_of(workload)), f"{kind.lower()}/{name_of(workload)}"
        return [_Target(str(key), path, (name, "-n", key.namespace), workload)]
    found = by_hand.every("/api/v1/namespaces", {"labelSelector": f"{ENABLED}={IS_ENABLED}"})
    if namespace is not None:
        found = [_retiring_namespace(by_hand, namespace)]
    if not found:
        fail(f"No namespace has the label {ENABLED}={IS_ENABLED}, so nothing is retired.", ExitCode.NOT_FOUND)
    return [
        _Target(f"namespace {name_of(one)}", namespace_path(name_of(one)), ("namespace", name_of(one)), one)
        for one in found
    ]


def _retiring_namespace(by_hand: ByHand, name: str) -> JsonObject:
    item = by_hand.find(namespace_path(name))
    if item is None:
        raise NamelessError("namespace", name, [name_of(one) for one in by_hand.every("/api/v1/namespaces")])
    if label_of(item, ENABLED) != IS_ENABLED:
        fail(f"The namespace {name} has no label {ENABLED}={IS_ENABLED}: freeze its fleets by name.", ExitCode.FAILED)
    return item
