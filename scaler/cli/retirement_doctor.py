"""`calltide doctor fleet NAME`: what on a fleet's own objects could cut a call or miss a peak."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import fail, print_json
from scaler.cli.retirement_cluster import AsJson, Context, Kubeconfig, Namespace, asks_cluster, cluster, named
from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.kubernetes import objects
from scaler.fleet.kubernetes.by_hand import ByHand, path_of, read_fleet
from scaler.fleet.kubernetes.doctor import LONGEST_CALL_S, examine
from scaler.fleet.kubernetes.doctor.findings import Finding, Severity
from scaler.fleet.kubernetes.doctor.gates import GATE_LABEL
from scaler.fleet.kubernetes.triggers import reference_of
from scaler.policy.compiling import compile_reading
from scaler.policy.directory import read_directory
from scaler.policy.durations import format_duration, parse_duration
from scaler.policy.model import PolicySpec

app = typer.Typer(no_args_is_help=True, help="Find what could cut a call or miss a peak.")


@app.callback()
def _doctor() -> None:
    """Read, and change nothing."""


@app.command("fleet")
@asks_cluster
def fleet_(
    name: Annotated[str, typer.Argument(help="The fleet, as NAMESPACE/NAME; a bare name lies in `default`.")],
    namespace: Namespace = None,
    policies: Annotated[
        Path | None, typer.Option(help="Directory of policy files, to look at maxPods and at the gates too.")
    ] = None,
    longest_call: Annotated[str, typer.Option(help="How long a call may last.")] = format_duration(LONGEST_CALL_S),
    gate_label: Annotated[
        str, typer.Option(help="Label of the front gates of type `service`, as the configuration has it.")
    ] = GATE_LABEL,
    as_json: AsJson = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Say what could cut a call (exit code 1) or miss a peak, with object, field and remedy."""
    try:
        longest_call_s = parse_duration(longest_call)
    except ValueError as error:
        fail(f"--longest-call: {error}", ExitCode.USAGE)
    key = named(name, namespace)
    with cluster(kubeconfig, context) as by_hand:
        policy = None if policies is None else _policy(by_hand, key, policies)
        fleet = read_fleet(by_hand, key, policy=policy)
    found = examine(fleet, longest_call_s=longest_call_s, gate_label=gate_label)
    if as_json:
        print_json({"fleet": str(key), "findings": [asdict(finding) for finding in found]})
    else:
        _print(key, found)
    if any(finding.severity is Severity.CUTS_CALLS for finding in found):
        raise typer.Exit(ExitCode.FAILED)


def _policy(by_hand: ByHand, key: FleetKey, policies: Path) -> PolicySpec:
    item = by_hand.find(path_of("ScaledObject", key.namespace, key.name))
    reference = None if item is None else reference_of(objects.scaled_object(item), ())
    if reference is None:
        raise FleetError(f"no ScaledObject {key} names a policy, so --policies says nothing of it; leave it out")
    book = compile_reading(read_directory(policies))
    return book.variant(reference.policy, fleet=str(key), tenants=reference.tenants).spec


def _print(key: FleetKey, found: list[Finding]) -> None:
    for finding in found:
        typer.echo(f"{finding.severity.value:12}  {'  '.join(filter(None, (finding.object, finding.field)))}")
        typer.echo(f"              {finding.what}")
        typer.echo(f"              {finding.fix}")
    counts = ", ".join(
        f"{sum(finding.severity is severity for finding in found)} × {severity.value}" for severity in Severity
    )
    typer.echo(f"{key}: {counts}")
