"""`calltide policy`: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scaler.cli.policy import app
from scaler.policy.confirmations import note_leader
from scaler.policy.store import PolicyStore
from tests.scaler.policy.writing import COMPLETE, policy, write

Start = Callable[[], PolicyStore]
FLEET = "voice/acme"
OVERRIDE = "overrides: [{fleet: voice/acme, spec: {minPods: 5}}, {tenant: acme, spec: {maxPods: 50}}]\n"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def office(files: Path) -> Path:
    return write(files, {"a.yaml": policy("office", COMPLETE, OVERRIDE), "b.yaml": policy("b")})


def test_validate_names_the_policies(office: Path):
    ended = run("validate", office)
    assert (ended.exit_code, ended.stdout) == (0, "2 policies are valid: b, office\n")
    as_json = run("validate", office, "--json")
    assert json.loads(as_json.stdout) == {"valid": True, "policies": ["b", "office"], "problems": []}


def test_validate_prints_every_problem_on_a_line_of_its_own_and_ends_with_3(files: Path):
    write(files, {"a.yaml": policy("a", COMPLETE + "  minPod: 2\n  mode: x\n"), "b.yaml": "x: ["})
    ended = run("validate", files)
    assert ended.exit_code == 3
    assert ended.stdout == ""
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == [
        *(f"{files}/a.yaml:7", f"{files}/a.yaml:8", f"{files}/b.yaml:1")
    ]
    as_json = run("validate", files, "--json")
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)["problems"][0] == {
        "file": f"{files}/a.yaml",
        "line": 7,
        "field": "spec.minPod",
        "message": "There is no such field here. Did you mean 'minPods'?",
    }


def test_validate_without_a_directory_says_what_to_do(tmp_path: Path):
    ended = run("validate", tmp_path / "no")
    assert ended.exit_code == 3
    assert "name another directory" in ended.stderr


def test_show_prints_yaml_that_is_a_valid_spec_again(office: Path, tmp_path: Path):
    shown = run("show", "office", "--policies", office).stdout
    again = write(
        tmp_path / "again", {"a.yaml": policy("office", "".join(f"  {line}\n" for line in shown.splitlines()))}
    )
    assert run("show", "office", "--policies", again).stdout == shown


def test_show_with_a_fleet_and_a_tenant_adds_their_overrides(office: Path):
    def pods(*options: str) -> tuple[int, int]:
        spec = json.loads(run("show", "office", "--policies", office, "--json", *options).stdout)["spec"]
        return spec["minPods"], spec["maxPods"]

    assert pods() == (1, 100)
    assert pods("--fleet", FLEET) == (5, 100)
    assert pods("--tenant", "acme") == (1, 50)
    assert pods("--fleet", FLEET, "--tenant", "acme") == (5, 50)


def test_show_with_origins_prints_where_each_value_was_written(office: Path):
    lines = run("show", "office", "--policies", office, "--origins", "--fleet", FLEET).stdout.splitlines()
    told = {line.split()[0]: line.partition("# ")[2] for line in lines}
    assert told["history.channels"] == f"{office}/a.yaml:5"
    assert told["minPods"] == f"{office}/a.yaml:7"
    assert told["lead.default"] == "built-in default"
    origins = json.loads(run("show", "office", "--policies", office, "--json").stdout)["origins"]
    assert origins["history.channels"] == {"file": f"{office}/a.yaml", "line": 5}
    assert origins["minPods"] is None


def test_show_of_an_unknown_policy_names_the_nearest_and_ends_with_5(office: Path):
    ended = run("show", "ofice", "--policies", office)
    assert (ended.exit_code, ended.stderr) == (5, "There is no policy 'ofice'. Did you mean office?\n")


def test_schema_prints_one_json_document():
    assert json.loads(run("schema").stdout)["title"] == "calltide policy"


@pytest.fixture
def waiting_store(files: Path, start: Start) -> PolicyStore:
    """A service in which two fleets wait."""
    write(files, {"a.yaml": policy("office")})
    store = start()
    for fleet in (FLEET, "default/b"):
        store.in_force(fleet, "office", store.book.resolve("office"))
    write(files, {"a.yaml": policy("office", COMPLETE + "  minPods: 9\n")})
    store.refresh()
    for fleet in (FLEET, "default/b"):
        store.settle(fleet, "office", store.book.resolve("office"), 0.8)
    store.refresh()
    return store


def test_confirm_without_a_fleet_lists_what_waits_and_confirms_nothing(state: Path, waiting_store: PolicyStore):
    ended = run("confirm", "--state", state)
    assert ended.exit_code == 0
    assert "voice/acme (policy office, moves the need by 80%)\n  minPods: 1 → 9\n" in ended.stdout
    listed = json.loads(run("confirm", "--state", state, "--json").stdout)["waiting"]
    assert [change["fleet"] for change in listed] == ["default/b", FLEET]
    assert listed[1]["changes"] == [{"field": "minPods", "old": 1, "new": 9}]
    waiting_store.refresh()
    assert len(waiting_store.all_pending()) == 2


@pytest.mark.parametrize(("target", "left"), [(FLEET, ["default/b"]), ("b", [FLEET]), ("office", []), ("--all", [])])
def test_confirm_puts_a_change_in_force_in_the_running_service(
    state: Path, waiting_store: PolicyStore, target: str, left: list[str]
):
    ended = run("confirm", target, "--state", state)
    assert ended.exit_code == 0
    assert "takes it up within seconds" in ended.stdout
    waiting_store.refresh()
    assert [pending.fleet for pending in waiting_store.all_pending()] == left


def test_confirm_of_a_fleet_that_does_not_wait_ends_with_5(state: Path, waiting_store: PolicyStore):
    ended = run("confirm", "voice/acne", "--state", state)
    assert ended.exit_code == 5
    assert "Did you mean voice/acme" in ended.stderr
    waiting_store.refresh()
    assert len(waiting_store.all_pending()) == 2


def test_confirm_all_when_nothing_waits_is_no_error(state: Path, waiting_store: PolicyStore):
    waiting_store.confirm(None)
    assert run("confirm", "--all", "--state", state).stdout == "No policy change waits for confirmation.\n"


def test_confirm_tells_of_a_damaged_state_and_leaves_it_to_the_service(state: Path, waiting_store: PolicyStore):
    damaged = state / "policies" / "fleets.json"
    damaged.write_text("{")
    ended = run("confirm", "--all", "--state", state)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"{damaged}: it is damaged" in ended.stderr
    assert damaged.read_text() == "{"


def test_confirm_takes_a_fleet_or_all_and_needs_a_state_directory(tmp_path: Path):
    assert run("confirm", FLEET, "--all", "--state", tmp_path).exit_code == 2
    assert run("confirm", "--all").exit_code == 2
    ended = run("confirm", "--all", "--state", tmp_path)
    assert (ended.exit_code, "no state directory" in ended.stderr) == (1, True)


def test_confirm_on_a_replica_that_follows_names_the_leader_and_a_list_is_given_all_the_same(
    state: Path, waiting_store: PolicyStore
):
    note_leader(state, "calltide-a")
    ended = run("confirm", "--all", "--state", state)
    assert ended.exit_code == 1
    assert "kubectl exec calltide-a -- calltide policy confirm" in " ".join(ended.stderr.split())
    waiting_store.refresh()
    assert len(waiting_store.all_pending()) == 2
    assert FLEET in run("confirm", "--state", state).stdout
    note_leader(state, None)
    assert run("confirm", "--all", "--state", state).exit_code == 0


def test_a_follower_takes_up_no_confirmation_until_it_leads(state: Path, waiting_store: PolicyStore):
    run("confirm", "--all", "--state", state)
    waiting_store.refresh(follows=True)
    assert len(waiting_store.all_pending()) == 2
    waiting_store.refresh()
    assert waiting_store.all_pending() == ()
