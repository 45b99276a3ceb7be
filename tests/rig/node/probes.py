"""Startup, liveness and readiness probes: what is asked of a container, and what a row of answers means."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import grpc.aio
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.rig.node.container import Running

Spec = Mapping[str, Any]


class Verdict:
    """A container's health by one probe: it turns only after as many equal answers in a row as the probe asks for."""

    def __init__(self, probe: Spec, *, healthy: bool) -> None:
        self.healthy = healthy
        self._needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
        self._row = 0
        self._last: bool | None = None

    def observe(self, answer: bool) -> bool:
        """Whether this answer completes a row, so that it is the verdict now."""
        self._row = self._row + 1 if answer == self._last else 1
        self._last = answer
        if self._row < self._needed[answer]:
            return False
        self.healthy = answer
        return True


async def watch(
    probe: Spec, ask: Callable[[], Awaitable[bool]], *, healthy: bool, judged: Callable[[bool], None]
) -> None:
    """Ask for ever, and tell each verdict."""
    verdict = Verdict(probe, healthy=healthy)
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    while True:
        if verdict.observe(await ask()):
            judged(verdict.healthy)
        await asyncio.sleep(probe.get("periodSeconds", 10))


async def answers(probe: Spec, running: Running, container: Spec, pod_ip: str) -> bool:
    """Whether one try of a probe or hook succeeds within its time-out."""
    at_most_s = probe.get("timeoutSeconds", 1)
    if "exec" in probe:
        return await running.run(probe["exec"]["command"], at_most_s) == 0
    with suppress(TimeoutError, OSError, httpx.HTTPError, grpc.aio.AioRpcError, ssl.SSLError):
        async with asyncio.timeout(at_most_s):
            if "httpGet" in probe:
                return await _http(probe["httpGet"], container, pod_ip)
            if "tcpSocket" in probe:
                return await _tcp(probe["tcpSocket"], container, pod_ip)
            if "grpc" in probe:
                return await _grpc(probe["grpc"], pod_ip)
    return False


def port_number(port: int | str, container: Spec) -> int:
    """A port given by number or by its name in the container."""
    if isinstance(port, int):
        return port
    named = {entry.get("name"): entry["containerPort"] for entry in container.get("ports", ())}
    return int(named.get(port) or port)


async def _http(action: Spec, container: Spec, pod_ip: str) -> bool:
    where = f"{action.get('host') or pod_ip}:{port_number(action['port'], container)}"
    url = f"{action.get('scheme', 'HTTP').lower()}://{where}{action.get('path', '/')}"
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders", ())}
    # As a kubelet: whose certificate it is, is not looked at.
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        response = await client.get(url, headers=headers)
    return response.is_success or response.is_redirect


async def _tcp(action: Spec, container: Spec, pod_ip: str) -> bool:
    _, writer = await asyncio.open_connection(action.get("host") or pod_ip, port_number(action["port"], container))
    writer.close()
    return True


async def _grpc(action: Spec, pod_ip: str) -> bool:
    async with grpc.aio.insecure_channel(f"{pod_ip}:{action['port']}") as channel:
        asked = health_pb2.HealthCheckRequest(service=action.get("service") or "")
        answer = await health_pb2_grpc.HealthStub(channel).Check(asked)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
