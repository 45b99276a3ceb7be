"""How the commands of retirement reach the cluster: with the person's own kubeconfig.

So Kubernetes decides who may do what, and its audit log has who did it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import ends_well, fail, not_found
from scaler.core.fleets import FleetKey
from scaler.errors import FleetError
from scaler.fleet.kubernetes.api import ApiError, ApiRefusedError, connect
from scaler.fleet.kubernetes.by_hand import ByHand, NamelessError

Kubeconfig = Annotated[
    Path | None,
    typer.Option(envvar="KUBECONFIG", help="Kubeconfig; otherwise ~/.kube/config, or the pod's own account."),
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Namespace; otherwise `default`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@contextmanager
def cluster(kubeconfig: Path | None, context: str | None) -> Iterator[ByHand]:
    """Requests to the cluster that the person means."""
    home = Path.home() / ".kube" / "config"
    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" not in os.environ and home.is_file():
        kubeconfig = home
    api = connect(kubeconfig, context)
    try:
        yield ByHand(api)
    finally:
        api.close()


def asks_cluster(command: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Turn what the cluster answers into one message and the exit code that fits."""

    @ends_well
    @wraps(command)
    def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        try:
            return command(*args, **kwargs)
        except NamelessError as error:
            not_found(error.kind, error.name, error.known)
        except ApiRefusedError as error:
            fail(f"The cluster refuses: {error}", ExitCode.FAILED)
        except ApiError as error:
            fail(f"The cluster does not answer: {error}. See --kubeconfig and --context.", ExitCode.UNREACHABLE)

    return wrapped


def named(text: str, namespace: str | None) -> FleetKey:
    """Namespace and name of `NAMESPACE/NAME`, or of a bare name in the namespace of the option.

    Raises:
        FleetError: it is neither, or names two namespaces.
    """
    if namespace is None:
        return FleetKey.parse(text)
    key = FleetKey.parse(text if "/" in text else f"{namespace}/{text}")
    if key.namespace != namespace:
        raise FleetError(f"{text} lies in {key.namespace}, and --namespace says {namespace}; leave one of them out")
    return key


def twin(*words: str) -> str:
    """The kubectl command that does the same, fit for a shell."""
    return f"The same by kubectl: {shlex.join(('kubectl', *words))}"
