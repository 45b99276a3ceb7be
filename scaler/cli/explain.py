"""`calltide explain FLEET`: why a fleet gets its number, asked of the running service."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from scaler.cli.output import ends_well, notice, print_json, result
from scaler.cli.page import DEFAULT_URL, Url, ask_page
from scaler.core.fleets import FleetKey


@ends_well
def explain(
    fleet: Annotated[str, typer.Argument(help="The fleet, as NAMESPACE/NAME; a bare name lies in `default`.")],
    url: Url = DEFAULT_URL,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show why a fleet gets its number of pods."""
    key = FleetKey.parse(fleet)
    path = f"/api/v1/fleets/{quote(key.namespace, safe='')}/{quote(key.name, safe='')}/explanation"
    explanation = ask_page(url, path)
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
