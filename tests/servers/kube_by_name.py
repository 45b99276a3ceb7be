"""An API server of single objects, for commands that read and write by name.

It knows GET, lists by label, merge patches, create and delete. Controllers are functions that tests give it; each is
called after every write, as a real one would come to it. kube_api.py is about watches that break. This one keeps
versions and generations as the real one does, refuses what a test tells it to, and notes every write in order.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import yaml

PLURALS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "ScaledObject": "/apis/keda.sh/v1alpha1/namespaces/{}/scaledobjects",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "Namespace": "/api/v1/namespaces",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class KubeByName:
    """The objects, by their paths; and what was written: method, path, body."""

    def __init__(self, user: str = "alice") -> None:
        self.lock = threading.RLock()
        self.objects: dict[str, dict] = {}
        self.writes: list[tuple[str, str, dict]] = []
        self.refused: dict[str, tuple[int, str]] = {}
        """By `METHOD path`: the status, and what the server says."""
        self.controllers: list[Callable[[KubeByName], None]] = []
        self.user = user
        self.version = 0
        self.url = ""

    def put(self, *items: dict) -> None:
        """Have these objects."""
        for item in items:
            path = PLURALS[item["kind"]].format(item["metadata"].get("namespace", ""))
            self.keep(f"{path}/{item['metadata']['name']}", copy.deepcopy(item))

    def keep(self, path: str, item: dict) -> dict:
        """Store an object as it is now; a changed spec is a new generation."""
        with self.lock:
            before = self.objects.get(path, {})
            self.version += 1
            metadata = item["metadata"]
            metadata.setdefault("uid", str(uuid4()))
            metadata["resourceVersion"] = str(self.version)
            changed = before.get("spec") != item.get("spec")
            metadata["generation"] = before.get("metadata", {}).get("generation", 0) + changed
            self.objects[path] = item
            return item

    def get(self, kind: str, name: str, namespace: str = "voice") -> dict:
        """An object as it stands."""
        return self.objects[f"{PLURALS[kind].format(namespace)}/{name}"]

    def of_kind(self, kind: str, namespace: str = "voice") -> list[dict]:
        """All objects of a kind."""
        return self.below(PLURALS[kind].format(namespace))

    def below(self, path: str) -> list[dict]:
        return [item for where, item in self.objects.items() if where.rpartition("/")[0] == path]

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that names this server."""
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path


@contextmanager
def serving(cluster: KubeByName) -> Iterator[KubeByName]:
    """The server on a free port."""
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    cluster: KubeByName
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: between two, a client waits for its own delayed acknowledgement.
    wbufsize = 1 << 20

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self.cluster.lock:
            if self._is_refused("GET", parts.path):
                return
            if parts.path in self.cluster.objects:
                self._answer(200, self.cluster.objects[parts.path])
            elif any(parts.path == plural or _fits(parts.path, plural) for plural in PLURALS.values()):
                selector = query.get("labelSelector", "")
                items = [item for item in self.cluster.below(parts.path) if _selected(item, selector)]
                self._answer(200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
            else:
                self._status(404, "not found")

    def do_PATCH(self) -> None:
        self._write("PATCH")

    def do_POST(self) -> None:
        self._write("POST")

    def do_DELETE(self) -> None:
        self._write("DELETE")

    def _write(self, method: str) -> None:
        path, cluster = urlsplit(self.path).path, self.cluster
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with cluster.lock:
            if path == REVIEWS:
                self._answer(201, {"status": {"userInfo": {"username": cluster.user}}})
                return
            if self._is_refused(method, path):
                return
            cluster.writes.append((method, path, body))
            code, answer = self._carried_out(method, path, body)
            for controller in cluster.controllers if code < 300 else ():
                controller(cluster)
            self._answer(code, answer)

    def _carried_out(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        cluster = self.cluster
        if method == "POST":
            return 201, copy.deepcopy(cluster.keep(f"{path}/{body['metadata']['name']}", body))
        item = cluster.objects.get(path)
        if item is None:
            return 404, {"message": "not found"}
        if method == "DELETE":
            return (
                (200, cluster.objects.pop(path)) if body["preconditions"]["uid"] == item["metadata"]["uid"] else _LOST
            )
        if self.headers["Content-Type"] != "application/merge-patch+json":
            return 415, {"message": "no merge patch"}
        named = body.get("metadata", {})
        if any(named.get(field, item["metadata"].get(field)) != item["metadata"].get(field) for field in _IDENTITY):
            return _LOST
        return 200, copy.deepcopy(cluster.keep(path, merged(item, body)))

    def _is_refused(self, method: str, path: str) -> bool:
        refusal = self.cluster.refused.get(f"{method} {path}")
        if refusal is not None:
            self._status(*refusal)
        return refusal is not None

    def _status(self, code: int, message: str) -> None:
        self._answer(code, {"kind": "Status", "status": "Failure", "message": message, "code": code})

    def _answer(self, code: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


_IDENTITY = ("resourceVersion", "uid")
_LOST = (409, {"message": "the object has been modified"})


def merged(item: object, patch: dict) -> dict:
    """RFC 7386."""
    made = copy.deepcopy(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value) if isinstance(value, dict) else value
    return made


def _fits(path: str, plural: str) -> bool:
    before, _, after = plural.partition("{}")
    return (
        bool(after) and path.startswith(before) and path.endswith(after) and "/" not in path[len(before) : -len(after)]
    )


def _selected(item: dict, selector: str) -> bool:
    labels = item["metadata"].get("labels", {})
    terms = [term.partition("=") for term in selector.split(",") if term]
    return all(labels.get(key) == value if equals else key in labels for key, equals, value in terms)
