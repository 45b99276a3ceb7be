"""`calltide adopt FLEET` and `calltide leave FLEET`: shown first, done when a person says so."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import fail, notice
from scaler.cli.retirement_cluster import Context, Kubeconfig, Namespace, asks_cluster, cluster, named
from scaler.fleet.kubernetes.adopting import Plan, give_back_line, plan_adoption
from scaler.fleet.kubernetes.by_hand import read_fleet
from scaler.fleet.kubernetes.leaving import plan_leaving

Fleet = Annotated[str, typer.Argument(help="The fleet, as NAMESPACE/NAME; a bare name lies in `default`.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@asks_cluster
def adopt(
    fleet: Fleet,
    namespace: Namespace = None,
    yes: Yes = False,
    no_template: Annotated[
        bool, typer.Option("--no-template", help="Leave the pod template to the chart or manifest that owns it.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Protect a live fleet's pods, so that calltide alone ends them. No pod is restarted."""
    key = named(fleet, namespace)
    with cluster(kubeconfig, context) as by_hand:
        found = read_fleet(by_hand, key)
        _carry_out(plan_adoption(by_hand, found, template=not no_template), f"adopt {key}", yes=yes)
    typer.echo(f"{key} is protected. What else could cut a call: calltide doctor fleet {key}")
    typer.echo(f"Should calltide ever be gone, this gives its pods back: {give_back_line(found)}")


@asks_cluster
def leave(
    fleet: Fleet,
    namespace: Namespace = None,
    yes: Yes = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Take all protection off a fleet. No pod is restarted; refused while that would end one."""
    key = named(fleet, namespace)
    with cluster(kubeconfig, context) as by_hand:
        _carry_out(plan_leaving(by_hand, read_fleet(by_hand, key)), f"leave {key}", yes=yes)
    typer.echo(f"Nothing protects the pods of {key} any more.")


def _carry_out(plan: Plan, what: str, *, yes: bool) -> None:
    for number, step in enumerate(plan.steps, 1):
        typer.echo(f"{number}. {step.sentence}")
    for note in plan.notes:
        typer.echo(f"Note: {note}")
    if plan.obstacles:
        lines = "\n".join(f"- {obstacle}" for obstacle in plan.obstacles)
        fail(f"Nothing was changed. In the way of `{what}`:\n{lines}", ExitCode.FAILED)
    if not plan.steps:
        typer.echo("There is nothing to do.")
        return
    _ask(what, yes=yes)
    for number, step in enumerate(plan.steps, 1):
        step.carry_out()
        notice.print(f"{number}. done", markup=False)


def _ask(what: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"Nothing was changed. Run `calltide {what} --yes` to do it.", ExitCode.USAGE)
    if not typer.confirm("Do it?"):
        fail("Nothing was changed.", ExitCode.FAILED)
