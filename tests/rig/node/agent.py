"""The agent's process: its nodes, the cluster's DNS, and a server through which its owner makes nodes fail."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from tests.rig.node.api import connect
from tests.rig.node.children import Children
from tests.rig.node.dns import ClusterDns
from tests.rig.node.http_server import Request, Response, json_response, serve
from tests.rig.node.keeper import Keeper
from tests.rig.node.node import Node, sweep
from tests.rig.node.pod import PodWorker
from tests.rig.node.settings import AgentSettings


async def run(settings: AgentSettings) -> None:
    """Run the agent until its process ends."""
    sweep(settings)
    children = Children()
    nodes = {node.name: Node(settings, node, children) for node in settings.nodes}
    ClusterDns(connect(settings.api_server, settings.authority, settings.dns), settings.hosts).start()
    for node in nodes.values():
        node.come_up()
    server = await serve(settings.control_address, settings.control_port, Control(nodes).answer)
    await server.serve_forever()


Verb = Callable[[dict[str, str]], Awaitable[Any]]


class Control:
    """What the agent's owner may ask: `GET /NODE/pods`, `POST /NODE/FAULT`, `POST /any/kill-container` or `evict`."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self._nodes = nodes

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        _, name, what = request.path.split("/", 2)
        verb = self._verbs(name).get(f"{request.method} {what}")
        if verb is None:
            return json_response({"error": f"there is no {request.method} {request.path}"}, HTTPStatus.NOT_FOUND)
        try:
            return json_response(await verb(json.loads(request.body or b"{}")))
        except (LookupError, RuntimeError) as error:
            return json_response({"error": str(error)}, HTTPStatus.CONFLICT)

    def _verbs(self, name: str) -> dict[str, Verb]:
        async def kill_container(asked: dict[str, str]) -> None:
            self._keeper(asked).kill()

        async def evict(asked: dict[str, str]) -> None:
            await self._worker(asked).evict()

        node = self._nodes.get(name)
        if node is None:
            return {"POST kill-container": kill_container, "POST evict": evict}

        async def pods(_asked: dict[str, str]) -> Any:
            return [_shown(worker) for worker in node.workers]

        async def die(_asked: dict[str, str]) -> None:
            await node.die()

        def at_once(fault: Callable[[], None]) -> Verb:
            async def verb(_asked: dict[str, str]) -> None:
                fault()

            return verb

        return {
            "GET pods": pods,
            "POST die": die,
            "POST come-back": at_once(node.come_up),
            "POST partition": at_once(node.partition),
            "POST heal": at_once(node.heal),
        }

    def _keeper(self, asked: dict[str, str]) -> Keeper:
        for keeper in self._worker(asked).keepers:
            if keeper.spec["name"] == asked["container"]:
                return keeper
        raise LookupError(f"pod {asked['namespace']}/{asked['pod']} has no container {asked['container']}")

    def _worker(self, asked: dict[str, str]) -> PodWorker:
        for node in self._nodes.values():
            for worker in node.workers:
                if (worker.namespace, worker.name) == (asked["namespace"], asked["pod"]):
                    return worker
        raise LookupError(f"no node of this agent has a pod {asked['namespace']}/{asked['pod']}")


def _shown(worker: PodWorker) -> dict[str, Any]:
    return {
        "namespace": worker.namespace,
        "name": worker.name,
        "uid": worker.uid,
        "ip": worker.pod_ip,
        "containers": {one.spec["name"]: one.running.pid for one in worker.keepers if one.running is not None},
    }
