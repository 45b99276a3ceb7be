"""`calltide freeze` and `calltide thaw`: what calltide reads back from them, and what a person is told."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

import pytest
from typer.testing import Result

from scaler.fleet.kubernetes.annotations import frozen_by
from tests.servers import kube_fleet
from tests.servers import kube_objects as kube
from tests.servers.kube_by_name import KubeByName

Calltide = Callable[..., Result]
FREEZE = "calltide.io/freeze"


def on_fleet(cluster: KubeByName) -> str | None:
    return cluster.get("Deployment", "acme")["metadata"]["annotations"].get(FREEZE)


def on_namespace(cluster: KubeByName, name: str = "voice") -> str | None:
    return cluster.get("Namespace", name)["metadata"]["annotations"].get(FREEZE)


@pytest.fixture
def retiring(cluster: KubeByName) -> KubeByName:
    cluster.put(kube_fleet.namespace(), kube.namespace("web"))
    return cluster


def test_a_frozen_fleet_is_frozen_to_calltide_until_the_time_is_over(cluster: KubeByName, calltide: Calltide) -> None:
    before_s = time.time()
    ran = calltide("freeze", "voice/acme", "--for", "4h", "--reason", "trunk  migration\n'tonight'")
    assert ran.exit_code == 0, ran.output
    why = frozen_by(on_fleet(cluster), before_s + 4 * 3600 - 5)
    assert why is not None
    assert "trunk migration 'tonight' (alice)" in why
    assert frozen_by(on_fleet(cluster), time.time() + 4 * 3600 + 5) is None


def test_the_kubectl_twin_is_fit_for_a_shell(cluster: KubeByName, calltide: Calltide) -> None:
    ran = calltide("freeze", "voice/acme", "--for", "4h", "--reason", "don't; rm -rf $HOME")
    line = next(line for line in ran.stdout.splitlines() if "kubectl" in line)
    words = shlex.split(line.partition(": ")[2])
    assert words == [
        "kubectl",
        "annotate",
        "deployment/acme",
        "-n",
        "voice",
        "--overwrite",
        f"{FREEZE}={on_fleet(cluster)}",
    ]


def test_freezing_again_replaces_the_freeze_and_says_what_it_was(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("freeze", "voice/acme", "--for", "1h", "--reason", "first")
    first = on_fleet(cluster)
    ran = calltide("freeze", "voice/acme", "--for", "2h", "--reason", "second")
    assert f"(before: {first})" in ran.stdout
    assert "second" in (on_fleet(cluster) or "")


def test_thaw_says_whose_freeze_it_was_and_is_content_with_none(cluster: KubeByName, calltide: Calltide) -> None:
    calltide("freeze", "voice/acme", "--for", "1h", "--reason", "audit")
    ran = calltide("thaw", "voice/acme")
    assert "It was frozen: until=" in ran.stdout
    assert "audit (alice)" in ran.stdout
    assert on_fleet(cluster) is None
    again = calltide("thaw", "voice/acme")
    assert (again.exit_code, again.stdout.strip()) == (0, "voice/acme was not frozen.")


def test_all_freezes_the_namespaces_with_retirement_alone(retiring: KubeByName, calltide: Calltide) -> None:
    ran = calltide("freeze", "--all", "--for", "30m", "--reason", "carrier outage")
    assert ran.exit_code == 0, ran.output
    assert "carrier outage" in (on_namespace(retiring) or "")
    assert on_namespace(retiring, "web") is None
    assert on_fleet(retiring) is None
    assert "kubectl annotate namespace voice --overwrite" in ran.stdout


def test_thawing_a_fleet_tells_of_a_namespace_that_is_still_frozen(retiring: KubeByName, calltide: Calltide) -> None:
    calltide("freeze", "--all", "--for", "30m", "--reason", "carrier outage")
    ran = calltide("thaw", "voice/acme")
    assert "Its namespace is frozen still: until=" in ran.stdout
    assert calltide("thaw", "--all", "-n", "voice").exit_code == 0
    assert on_namespace(retiring) is None


def test_a_namespace_without_retirement_is_not_frozen_by_all(retiring: KubeByName, calltide: Calltide) -> None:
    ran = calltide("freeze", "--all", "-n", "web", "--for", "1h", "--reason", "x")
    assert (ran.exit_code, "has no label calltide.io/retirement=enabled" in ran.stderr) == (1, True)
    ran = calltide("thaw", "--all", "-n", "vioce")
    assert (ran.exit_code, "Did you mean voice?" in ran.stderr) == (5, True)
    assert retiring.writes == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--for", "1h", "--reason", "x"), "Name a fleet or say --all"),
        (("voice/acme", "--all", "--for", "1h", "--reason", "x"), "Name a fleet or say --all"),
        (("voice/acme", "--for", "soon", "--reason", "x"), "'soon' is not a duration"),
        (("voice/acme", "--for", "999999999w", "--reason", "x"), "--for"),
        (("voice/acme", "--for", "1h", "--reason", "  "), "--reason"),
        (("voice/acme", "--for", "1h", "--reason", "x" * 301), "--reason"),
    ],
)
def test_a_freeze_that_says_too_little_is_refused(
    cluster: KubeByName, calltide: Calltide, arguments: tuple[str, ...], complaint: str
) -> None:
    ran = calltide("freeze", *arguments)
    assert ran.exit_code == 2, ran.output
    assert complaint in ran.stderr
    assert cluster.writes == []


def test_a_fleet_that_is_not_there_is_told_with_near_names(calltide: Calltide) -> None:
    ran = calltide("thaw", "voice/acmee")
    assert ran.exit_code == 5
    assert "Did you mean voice/acme?" in ran.stderr
