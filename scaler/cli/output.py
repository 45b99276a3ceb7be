"""How every command speaks: results on standard output, everything else on standard error, one way to end in error."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console

from forecasting.errors import ForecastingError, HistoryFormatError, SourceConfigurationError, SourceError
from scaler.cli.exit_codes import ExitCode
from scaler.errors import CalltideError, ConfigurationError, PolicyError

result = Console(highlight=False, emoji=False)
"""For what was asked for."""
notice = Console(stderr=True, highlight=False, emoji=False)
"""For progress, warnings and errors."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def print_json(value: Any) -> None:
    """The machine-readable result: one JSON document and nothing else."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def fail(message: str, code: ExitCode) -> NoReturn:
    """Say what is wrong on standard error and end."""
    notice.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def chart_page(page: Path | None) -> Path | None:
    """What `--chart` names, looked at before anything is computed: a run of minutes must not end over a directory.

    Raises:
        typer.BadParameter: there is no such directory, or it cannot be written to.
    """
    if page is not None and not os.access(page.parent, os.W_OK | os.X_OK):
        reason = "cannot be written to" if page.parent.is_dir() else "does not exist"
        raise typer.BadParameter(f"the directory {page.parent} {reason}; name a file in a directory of yours")
    return page


def write_chart(page: Path, text: str) -> None:
    """Write what `--chart` asked for, and say where it is; the command ends where that cannot be done."""
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(
            f"--chart: {page} cannot be written ({error.strerror}); name a file in a directory of yours",
            ExitCode.FAILED,
        )
    notice.print(f"The chart is in {page}", markup=False, soft_wrap=True)


def not_found(kind: str, name: str, known: list[str]) -> NoReturn:
    """End with the nearest known names."""
    near = get_close_matches(name, known, n=3) or known[:5]
    hint = f" Did you mean {', '.join(near)}?" if near else f" There is no {kind} at all."
    fail(f"There is no {kind} {name!r}.{hint}", ExitCode.NOT_FOUND)


def ends_well(command: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Turn the errors that calltide raises on purpose into one message and the exit code that fits."""

    @wraps(command)
    def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return command(*args, **kwargs)
        except (PolicyError, ConfigurationError, HistoryFormatError, SourceConfigurationError) as error:
            fail(str(error), ExitCode.INVALID)
        except SourceError as error:
            fail(str(error), ExitCode.UNREACHABLE)
        except (CalltideError, ForecastingError) as error:
            fail(str(error), ExitCode.FAILED)

    return wrapped
