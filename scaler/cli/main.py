"""The command `calltide` and its subcommands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from scaler.cli import policy, retirement_doctor
from scaler.cli.backtest import backtest
from scaler.cli.demo import demo
from scaler.cli.explain import explain
from scaler.cli.forecast import forecast
from scaler.cli.outlook import outlook
from scaler.cli.retirement_adopting import adopt, leave
from scaler.cli.retirement_evidence import evidence
from scaler.cli.retirement_freezes import freeze, thaw
from scaler.cli.retirement_wishes import drain, recall
from scaler.cli.serve import serve

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="An autoscaler for voice: forecasts call load, answers KEDA before the peak, never hangs up.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"calltide {version('calltide')}")
        raise typer.Exit


@app.callback()
def _calltide(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Options that hold for every command."""


app.command()(serve)
app.command()(demo)
app.command()(forecast)
app.command()(outlook)
app.command()(backtest)
app.command()(explain)
for command in (drain, recall, freeze, thaw, adopt, leave, evidence):
    app.command()(command)
app.add_typer(policy.app, name="policy")
app.add_typer(retirement_doctor.app, name="doctor")


def main() -> None:
    """Run the command line."""
    app()
