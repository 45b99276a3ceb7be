"""`calltide policy …`: check policies before they are in force, see what they come to, confirm large changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import ends_well, fail, not_found, print_json
from scaler.core.fleets import FleetKey
from scaler.errors import PolicyError
from scaler.policy.book import PolicyBook, Variant
from scaler.policy.compiling import compile_reading
from scaler.policy.confirmations import noted_leader, request, waiting
from scaler.policy.directory import read_directory
from scaler.policy.schema import schema as policy_schema
from scaler.policy.standing import Pending, flat, written

app = typer.Typer(no_args_is_help=True, help="Check, show and confirm policies.")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _read(directory: Path) -> PolicyBook:
    return compile_reading(read_directory(directory))


@app.command()
@ends_well
def validate(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Directory of policy files.")] = Path("policies"),
    as_json: _Json = False,
) -> None:
    """Check every policy of a directory; print every problem, one per line."""
    try:
        book = _read(directory)
    except PolicyError as error:
        if not as_json:
            raise
        problems = [
            {"file": problem.file, "line": problem.line, "field": problem.field, "message": problem.message}
            for problem in error.problems
        ]
        print_json({"valid": False, "policies": [], "problems": problems})
        raise typer.Exit(ExitCode.INVALID) from None
    if as_json:
        print_json({"valid": True, "policies": list(book.names), "problems": []})
    else:
        count = len(book.names)
        typer.echo(f"{count} {'policy is' if count == 1 else 'policies are'} valid: {', '.join(book.names)}")


@app.command()
@ends_well
def show(
    name: Annotated[str, typer.Argument(help="The policy's name.")],
    directory: Annotated[Path, typer.Option("--policies", help="Directory of policy files.")] = Path("policies"),
    fleet: Annotated[str | None, typer.Option(help="What holds for this fleet, as NAMESPACE/NAME.")] = None,
    tenant: Annotated[str | None, typer.Option(help="What holds for a fleet that serves this tenant alone.")] = None,
    origins: Annotated[bool, typer.Option("--origins", help="Print where each value was written.")] = False,
    as_json: _Json = False,
) -> None:
    """Print what a policy comes to after inheritance and overrides."""
    book = _read(directory)
    if name not in book.names:
        not_found("policy", name, list(book.names))
    key = None if fleet is None else str(FleetKey.parse(fleet))
    variant = book.variant(name, fleet=key, tenants=() if tenant is None else (tenant,))
    spec = variant.spec.model_dump(mode="json", by_alias=True)
    if as_json:
        print_json({"policy": name, "fleet": key, "tenant": tenant, "spec": spec, "origins": _origins(variant)})
    elif origins:
        fields = flat(variant.spec)
        width = max(map(len, fields))
        for field, value in fields.items():
            place = variant.origin_of(field)
            typer.echo(f"{field:{width}}  {written(value)}  # {place or 'built-in default'}")
    else:
        typer.echo(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=1000), nl=False)


def _origins(variant: Variant) -> dict[str, Any]:
    places = {field: variant.origin_of(field) for field in flat(variant.spec)}
    return {field: place and {"file": place.file, "line": place.line} for field, place in places.items()}


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy document, for editors."""
    print_json(policy_schema())


@app.command()
@ends_well
def confirm(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[FLEET]", help="The fleet (NAMESPACE/NAME), or a policy for all its fleets."),
    ] = None,
    *,
    state: Annotated[Path, typer.Option(help="State directory of the service.", envvar="CALLTIDE_STATE")],
    every: Annotated[bool, typer.Option("--all", help="Confirm every change that waits.")] = False,
    as_json: _Json = False,
) -> None:
    """Put a large policy change in force; without a fleet, list the changes that wait."""
    if target is not None and every:
        fail("Name a fleet or say --all, not both.", ExitCode.USAGE)
    changes = waiting(state)
    if target is not None or every:
        _must_be_kept_here(state)
        changes = tuple(change for change in changes if change.is_meant_by(target))
        if target is not None and not changes:
            not_found("waiting change for", target, [change.fleet for change in waiting(state)])
        if changes:
            request(state, changes)
    confirmed = target is not None or every
    if as_json:
        print_json({"confirmed" if confirmed else "waiting": [_as_json(change) for change in changes]})
        return
    for change in changes:
        typer.echo(f"{change.fleet} (policy {change.policy}, moves the need by {change.moved_share:.0%})")
        for difference in change.changes:
            typer.echo(f"  {difference}")
    if not changes:
        typer.echo("No policy change waits for confirmation.")
    elif confirmed:
        typer.echo("Confirmed; the service takes it up within seconds.")
    else:
        typer.echo(f"Confirm with `calltide policy confirm FLEET --state {state}`, or with --all.")


def _must_be_kept_here(state: Path) -> None:
    leader = noted_leader(state)
    if leader is not None:
        fail(
            f"This replica follows {leader}, which keeps the changes that wait. Run the command there: "
            f"kubectl exec {leader} -- calltide policy confirm …",
            ExitCode.FAILED,
        )


def _as_json(change: Pending) -> dict[str, Any]:
    return {
        "fleet": change.fleet,
        "policy": change.policy,
        "sinceS": change.since_s,
        "movedShare": change.moved_share,
        "changes": [{"field": each.field, "old": each.old, "new": each.new} for each in change.changes],
    }
