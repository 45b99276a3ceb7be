"""`calltide evidence POD`: why a pod went, from the audit log, and from the pod itself while it stands.

The log is asked for at the page of whoever leads, or read where it lies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from scaler.cli.exit_codes import ExitCode
from scaler.cli.output import fail, notice, print_json
from scaler.cli.page import DEFAULT_URL, Url, ask_page
from scaler.cli.retirement_cluster import AsJson, Context, Kubeconfig, asks_cluster, cluster
from scaler.core.fleets import FleetKey
from scaler.errors import CalltideError
from scaler.fleet.kubernetes.annotations import DRAIN, EVIDENCE, PROTECTED, STATE, WISH
from scaler.fleet.kubernetes.by_hand import path_of
from scaler.fleet.kubernetes.fields import annotation_of, label_of
from scaler.fleet.kubernetes.objects import uid_of
from scaler.policy.durations import format_duration
from scaler.retirement.audit import ELSEWHERE, AuditRecord, from_line, in_namespace, to_plain
from scaler.retirement.errors import RetirementError
from scaler.retirement.evidence import DeadNode, OutOfService, ProvedEmpty, ReleaseEvidence
from scaler.service.retiring.audit_log import FOLDER, AuditLog


@asks_cluster
def evidence(
    pod: Annotated[str, typer.Argument(metavar="POD", help="The pod: NAME, NAMESPACE/NAME or UID.")],
    *,
    url: Url = DEFAULT_URL,
    state: Annotated[
        Path | None, typer.Option(help="Read this state directory of a service instead.", envvar="CALLTIDE_STATE")
    ] = None,
    as_json: AsJson = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print every edge of a pod's way out, and on what ground it was released."""
    namespace, _, name = pod.rpartition("/")
    records = _told(url, namespace, name) if state is None else _kept(state, namespace, name)
    now = _as_it_stands(records, namespace, name, kubeconfig, context) if kubeconfig is not None else None
    if not records and now is None:
        where = f"at {url}" if state is None else f"in {state / FOLDER}"
        fail(f"Nothing is known of {pod} {where}. {ELSEWHERE}", ExitCode.NOT_FOUND)
    if as_json:
        lines = [asdict(record) | {"evidence": to_plain(record.evidence)} for record in records]
        print_json({"pod": pod, "records": lines, "standing": now})
        return
    for record in records:
        for line in _lines(record):
            typer.echo(line)
    if now is not None:
        typer.echo("On the pod now:")
        for mark, value in now.items():
            typer.echo(f"  {mark}: {value}")


def _kept(state: Path, namespace: str, name: str) -> list[AuditRecord]:
    if not state.is_dir():
        fail(f"--state: {state} is no directory; name the service's state directory.", ExitCode.USAGE)
    return in_namespace(AuditLog(state).of_pod(name), namespace)


def _told(url: str, namespace: str, name: str) -> list[AuditRecord]:
    query = {"namespace": namespace} if namespace else {}
    told = ask_page(url, f"/api/v1/evidence/{quote(name, safe='')}", query, may_be_missing=True)
    try:
        if told is None:
            return []
        return [from_line(json.dumps(record)) for record in told["records"]]
    except (KeyError, TypeError, RetirementError) as error:
        fail(f"{url} did not answer as calltide does ({error}). See --url.", ExitCode.FAILED)


def _as_it_stands(
    records: list[AuditRecord], namespace: str, name: str, kubeconfig: Path, context: str | None
) -> dict[str, Any] | None:
    """The marks on the pod; None when it is gone or cannot be asked for."""
    if records:
        # The log may have been asked by UID.
        namespace, name = FleetKey.parse(records[-1].fleet).namespace, records[-1].pod
    try:
        with cluster(kubeconfig, context) as by_hand:
            pod = by_hand.find(path_of("Pod", namespace or "default", name))
    except CalltideError as error:
        notice.print(f"The pod itself could not be asked for: {error}", style="yellow", markup=False)
        return None
    if pod is None:
        return None
    marks = {mark: annotation_of(pod, mark) for mark in (STATE, DRAIN, WISH, EVIDENCE)}
    return {"uid": uid_of(pod), PROTECTED: label_of(pod, PROTECTED)} | {k: v for k, v in marks.items() if v}


def _lines(record: AuditRecord) -> Iterator[str]:
    yield f"{_time(record.at_s)}  {record.edge}  [{record.outcome}]  {record.sentence}"
    yield f"    {record.fleet}, pod {record.pod} ({record.uid}), by {record.leader} in term {record.term}"
    if record.evidence is not None:
        for line in in_words(record.evidence):
            yield f"    {line}"


def in_words(evidence: ReleaseEvidence) -> Iterator[str]:
    """On what ground a pod was released, a sentence each."""
    match evidence.ground:
        case ProvedEmpty() as proof:
            yield f"Its PBX had run since {proof.boot.started} in the container {proof.boot.container}."
            yield f"Its gates were read back shut at {_time(proof.closed_at_s)}."
            zeros = ", ".join(_time(at_s) for at_s in proof.zeros_at_s)
            yield f"Asked after that, it had no channel and no pending work {len(proof.zeros_at_s)} times: {zeros}."
            yield f"Proxies that had acknowledged: {', '.join(proof.front_gates) or 'none, there is no front gate'}."
        case OutOfService() as out:
            yield f"Its node {out.node} was marked out of service by an administrator; nothing was proved of the pod."
        case DeadNode() as dead:
            stale, silent = format_duration(dead.lease_stale_for_s), format_duration(dead.silent_for_s)
            yield f"Its node {dead.node} was dead: no lease for {stale}, and its PBXs silent for {silent}."
    purpose, cause = evidence.purpose.value, evidence.cause.value.replace("-", " ")
    at = _time(evidence.released_at_s)
    yield f"Released at {at} to {purpose} ({cause}), by {evidence.leader} in term {evidence.term}."


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-5] + "Z"
