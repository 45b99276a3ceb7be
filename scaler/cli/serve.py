"""`calltide serve`: the service, as one command that starts and looks after its processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli.output import ends_well, notice
from scaler.service.commands import service_commands
from scaler.service.configuration import load_configuration
from scaler.service.logs import configure_logs
from scaler.service.supervisor import supervise


@ends_well
def serve(
    config: Annotated[Path, typer.Option(help="The service's configuration file.")] = Path("calltide.yaml"),
) -> None:
    """Run the service: forecast, plan, and answer KEDA, until SIGTERM or Ctrl-C."""
    configuration = load_configuration(config)
    configure_logs(configuration.log.level, configuration.log.format)

    def say_where() -> None:
        notice.print(f"calltide: page http://{configuration.web.listen}/  KEDA {configuration.keda.listen}")

    raise typer.Exit(supervise(service_commands(configuration, config), on_started=say_where))
