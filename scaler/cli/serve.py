"""`calltide serve`: the service, as one command that starts and looks after its processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import ends_well, notice
from scaler.service.commands import service_commands
from scaler.service.configuration import load_configuration
from scaler.service.logs import configure_logs
from scaler.service.supervisor import CONFIGURATION_FAULT, supervise


@ends_well
def serve(
    config: Annotated[Path, typer.Option(help="The service's configuration file.")] = Path("calltide.yaml"),
) -> None:
    """Run the service: forecast, plan, and answer KEDA, until SIGTERM or Ctrl-C."""
    configuration = load_configuration(config)
    configure_logs(configuration.log.level, configuration.log.format)

    def say_where() -> None:
        notice.print(f"calltide: page http://{configuration.web.listen}/  KEDA {configuration.keda.listen}")

    code = supervise(service_commands(configuration, config), on_started=say_where)
    raise typer.Exit(exit_code_of(code))


def exit_code_of(code: int) -> int:
    """The command's exit code for the supervisor's."""
    # The child has said on standard error what is wrong; 78 is a word between processes only.
    return ExitCode.INVALID if code == CONFIGURATION_FAULT else code
