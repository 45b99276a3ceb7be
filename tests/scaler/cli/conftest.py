from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scaler.cli.main import app
from tests.servers import kube_fleet
from tests.servers.kube_by_name import KubeByName, serving

Calltide = Callable[..., Result]


@pytest.fixture
def cluster() -> Iterator[KubeByName]:
    """A live fleet `voice/acme` of ten pods that nothing protects yet."""
    with serving(kube_fleet.live()) as cluster:
        yield cluster


@pytest.fixture
def calltide(cluster: KubeByName, tmp_path: Path) -> Calltide:
    """The command line as a person with a kubeconfig for the cluster runs it."""
    environment = {"KUBECONFIG": str(cluster.kubeconfig(tmp_path)), "COLUMNS": "200"}

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)

    return run
