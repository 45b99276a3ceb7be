"""The processes that make up the service, as the command lines that the supervisor runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scaler.errors import StateError
from scaler.service.settings import Configuration
from scaler.service.supervisor import ChildCommand


def keda_command(configuration: Configuration) -> ChildCommand:
    """The KEDA process: nothing but gRPC over the answer book."""
    keda = configuration.keda
    arguments = [
        "keda_external_scaler",
        *("--book", str(configuration.book_path)),
        *("--listen", keda.listen),
        *("--stale-after", str(keda.stale_after)),
        *("--max-connection-age", str(keda.max_connection_age)),
        *("--stats", str(configuration.keda_stats_path)),
    ]
    if keda.tls is not None:
        arguments += ["--tls-cert", str(keda.tls.certificate_file), "--tls-key", str(keda.tls.key_file)]
        if keda.tls.client_ca_file is not None:
            arguments += ["--client-ca", str(keda.tls.client_ca_file)]
    return ChildCommand("keda", arguments)


def service_commands(
    configuration: Configuration, path: Path, main_arguments: Sequence[str] = ()
) -> tuple[ChildCommand, ...]:
    """All processes of the service. The KEDA process comes first: it can answer before the rest is up.

    Raises:
        StateError: the state directory, which they share, cannot be made.
    """
    try:
        configuration.state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"state: {configuration.state} cannot be made: {error.strerror}") from error
    main = ChildCommand("main", ("scaler.service.main_process", "--config", str(path.absolute()), *main_arguments))
    return keda_command(configuration), main
