"""`python -m keda_external_scaler`: the process that answers KEDA."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from keda_external_scaler.errors import ServerConfigurationError
from keda_external_scaler.logs import log_event, set_up_logging
from keda_external_scaler.process import KedaProcess
from keda_external_scaler.settings import parse_arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. The exit code is 0, 1 when the server cannot be set up, 2 for a wrong option."""
    settings = parse_arguments(arguments)
    set_up_logging()
    try:
        process = KedaProcess(settings)
    except ServerConfigurationError as error:
        log_event("cannot start", level=logging.ERROR, problem=str(error))
        return 1
    process.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
