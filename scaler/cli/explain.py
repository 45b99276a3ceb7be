"""`calltide explain FLEET`: why a fleet gets its number, asked of the running service."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer
from rich.markup import escape
from rich.table import Table

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import ends_well, fail, notice, print_json, result
from scaler.core.fleets import FleetKey

TIMEOUT_S = 10.0


def _ask(url: str, path: str) -> Any:
    try:
        answer = httpx.get(url.rstrip("/") + path, timeout=TIMEOUT_S)
        body = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        fail(f"{url} did not answer: {error}. Is `calltide serve` running there? See --url.", ExitCode.UNREACHABLE)
    if answer.status_code == httpx.codes.NOT_FOUND:
        fail(f"{body.get('error')} {body.get('remedy')}", ExitCode.NOT_FOUND)
    if answer.is_error:
        fail(f"{url} answered {answer.status_code}: {body.get('error')}", ExitCode.FAILED)
    return body


@ends_well
def explain(
    fleet: Annotated[str, typer.Argument(help="The fleet, as NAMESPACE/NAME; a bare name lies in `default`.")],
    url: Annotated[
        str, typer.Option(help="Where the service's page is.", envvar="CALLTIDE_URL")
    ] = "http://127.0.0.1:8080",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show why a fleet gets its number of pods."""
    key = FleetKey.parse(fleet)
    path = f"/api/v1/fleets/{quote(key.namespace, safe='')}/{quote(key.name, safe='')}/explanation"
    explanation = _ask(url, path)
    if as_json:
        print_json(explanation)
        return
    table = Table("part", "pods", "total", "why", title=escape(str(key)), title_justify="left")
    for step in explanation["contributions"]:
        table.add_row(step["part"], f"{step['pods']:+d}", str(step["total"]), escape(step["sentence"]))
    result.print(table)
    result.print(explanation["summary"], markup=False)
    for warning in explanation["warnings"]:
        notice.print(warning, style="yellow", markup=False)
