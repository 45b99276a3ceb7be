"""A small API server that misbehaves on demand.

It exists to provoke what a real kube-apiserver cannot be made to do at will: 410 Gone at a chosen moment, a watch that
goes silent on an open connection, a stream that is cut in the middle, a server that is away and comes back with its
state. It speaks plain HTTP: list in pages with a consistent resourceVersion, watch with bookmarks and
`timeoutSeconds`, metadata-only lists and watches, Status objects as errors; and what calltide writes: Leases
(kube_leases.py), pods, scales and Events (kube_writes.py). It stores objects as they are given (kube_objects.py makes
them in the real API's shape) and proves nothing about a real server's own behaviour: that is the rig's business.
"""

from __future__ import annotations

import copy
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.servers.kube_leases import LEASES, Leases
from tests.servers.kube_writes import RefusalError, answer_write

COLLECTIONS = {
    "/apis/keda.sh/v1alpha1/scaledobjects": ("ScaledObject", "keda.sh/v1alpha1"),
    "/apis/autoscaling/v2/horizontalpodautoscalers": ("HorizontalPodAutoscaler", "autoscaling/v2"),
    "/apis/apps/v1/deployments": ("Deployment", "apps/v1"),
    "/apis/apps/v1/statefulsets": ("StatefulSet", "apps/v1"),
    "/apis/apps/v1/replicasets": ("ReplicaSet", "apps/v1"),
    "/api/v1/pods": ("Pod", "v1"),
    "/api/v1/nodes": ("Node", "v1"),
    "/api/v1/namespaces": ("Namespace", "v1"),
}
_PATH_OF = {kind: path for path, (kind, _) in COLLECTIONS.items()}


class KubeApi:
    """The server's state and its switches. All of it may be called from any thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = 1000
        self.objects = {path: {} for path in COLLECTIONS}
        self.events = {path: [] for path in COLLECTIONS}
        self.oldest = dict.fromkeys(COLLECTIONS, 0)
        self.refused: dict[str, int] = {}
        self.refused_lists: dict[str, int] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.bookmark_every_s = 0.05
        self.silent = False
        self.expire_pages = False
        self.epoch = 0
        self.leases = Leases()
        self.writes: list[tuple[str, dict[str, str], object]] = []
        """Method and path, query and body of each write but those of Leases."""
        self.told: list[dict] = []
        """The Events that were written."""
        self.unanswered = False
        """Whether writes are done and never answered."""
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_there(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Be away: every stream breaks, new connections are refused."""
        self.cut()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def cut(self) -> None:
        """Break every open stream in the middle."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    def hang(self) -> None:
        """Keep every connection open and send nothing more, as a server that lost its network does."""
        with self.changed:
            self.silent = True
            self.changed.notify_all()

    def wake(self) -> None:
        """Answer new connections again; what hung stays hung, as behind a router that forgot the connection."""
        with self.changed:
            self.silent = False

    def put(self, item: dict) -> dict:
        """Create or change an object; it gets the next resourceVersion."""
        path = _PATH_OF[item["kind"]]
        with self.changed:
            item = copy.deepcopy(item)
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            uid = item["metadata"]["uid"]
            kind = "MODIFIED" if uid in self.objects[path] else "ADDED"
            self.objects[path][uid] = item
            self.events[path].append((self.version, kind, item))
            self.changed.notify_all()
        return item

    def delete(self, item: dict) -> None:
        """Delete an object; its last state goes out with a new resourceVersion."""
        path = _PATH_OF[item["kind"]]
        with self.changed:
            self.version += 1
            last = copy.deepcopy(self.objects[path].pop(item["metadata"]["uid"]))
            last["metadata"]["resourceVersion"] = str(self.version)
            self.events[path].append((self.version, "DELETED", last))
            self.changed.notify_all()

    def compact(self, *, quietly: dict | None = None, deleting: dict | None = None) -> None:
        """Forget the past, so that every resumed watch meets 410; optionally with changes that nobody was told of."""
        with self.changed:
            self.version += 1
            for item, gone in ((quietly, False), (deleting, True)):
                if item is None:
                    continue
                path, uid = _PATH_OF[item["kind"]], item["metadata"]["uid"]
                if gone:
                    del self.objects[path][uid]
                else:
                    self.objects[path][uid] = copy.deepcopy(item)
            self.version += 1
            for path in COLLECTIONS:
                self.events[path].clear()
                self.oldest[path] = self.version
            self.epoch += 1
            self.changed.notify_all()

    def asked(self, path: str, *, watch: bool) -> int:
        """How many lists or watches of a path there were."""
        return sum(1 for p, query in list(self.requests) if p == path and ("watch" in query) == watch)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed in the middle of a stream are what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    api: KubeApi
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass

    def parse_request(self) -> bool:
        # A connection that was open when the server went away is answered by nobody either.
        if super().parse_request() and self.api.is_there:
            return True
        self.close_connection = True
        return False

    def do_POST(self) -> None:
        if urlsplit(self.path).path.startswith(LEASES):
            self._lease("POST")
        else:
            self._write("POST")

    def do_PATCH(self) -> None:
        self._write("PATCH")

    def do_DELETE(self) -> None:
        self._write("DELETE")

    def do_PUT(self) -> None:
        self._lease("PUT")

    def _body(self) -> object:
        length = int(self.headers.get("Content-Length", 0))
        return json.loads(self.rfile.read(length)) if length else None

    def _write(self, method: str) -> None:
        parts, body = urlsplit(self.path), self._body()
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self.api.changed:
            self.api.writes.append((f"{method} {parts.path}", query, body))
            self.api.changed.notify_all()
        if self.api.silent:
            self._hang()
            return
        if refused := self.api.refused.get(parts.path):
            self._status(refused, "Forbidden", "the server says no")
            return
        try:
            code, answer = answer_write(self.api, method, parts.path, self.headers["Content-Type"], body)
        except RefusalError as refusal:
            self._status(refusal.code, refusal.reason, str(refusal))
            return
        if self.api.unanswered:
            self._hang()
        else:
            self._json(code, answer)

    def _lease(self, method: str) -> None:
        path, body = urlsplit(self.path).path, self._body()
        self.api.requests.append((f"{method} {path}", {}))
        if self.api.silent:
            self._hang()
            return
        if refused := self.api.refused.get(path):
            self._status(refused, "Forbidden", "the server says no")
            return
        code, answer = self.api.leases.answer(method, path, body)
        if answer is None:
            self._hang()
        elif code >= 400:
            self._status(code, *answer)
        else:
            self._json(code, answer)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith(LEASES):
            self._lease("GET")
            return
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.api.requests.append((parts.path, query))
        self.api.headers.append(dict(self.headers))
        if self.api.silent:
            self._hang()
            return
        refused = self.api.refused.get(parts.path)
        if "watch" not in query:
            refused = refused or self.api.refused_lists.get(parts.path)
        if parts.path not in COLLECTIONS or refused:
            self._status(refused or 404, "Forbidden" if refused == 403 else "NotFound", "the server says no")
        elif query.get("watch") == "true":
            self._watch(parts.path, query)
        else:
            self._list(parts.path, query)

    def _list(self, path: str, query: dict[str, str]) -> None:
        api, (kind, group_version) = self.api, COLLECTIONS[path]
        with api.changed:
            version, _, begin = query.get("continue", f"{api.version}/0").partition("/")
            if "continue" in query and api.expire_pages:
                api.expire_pages = False
                self._status(410, "Expired", "The provided continue parameter is too old")
                return
            items = list(api.objects[path].values())
            first, limit = int(begin), int(query.get("limit", "0")) or len(items)
            page = items[first : first + limit]
            metadata = {"resourceVersion": version}
            if first + limit < len(items):
                metadata |= {"continue": f"{version}/{first + limit}", "remainingItemCount": len(items) - first - limit}
        if "as=PartialObjectMetadataList" in self.headers["Accept"]:
            page = [_partial(item) for item in page]
            kind, group_version = "PartialObjectMetadata", "meta.k8s.io/v1"
        elif kind != "ScaledObject":
            # Items of a real typed list carry neither kind nor apiVersion; those of a custom resource do.
            page = [{key: part for key, part in item.items() if key not in ("kind", "apiVersion")} for item in page]
        self._json(200, {"kind": f"{kind}List", "apiVersion": group_version, "metadata": metadata, "items": page})

    def _watch(self, path: str, query: dict[str, str]) -> None:
        api, (kind, group_version) = self.api, COLLECTIONS[path]
        partial = "as=PartialObjectMetadata" in self.headers["Accept"]
        epoch, sent = api.epoch, int(query["resourceVersion"])
        until_s = time.monotonic() + float(query["timeoutSeconds"])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            with api.changed:
                if sent < api.oldest[path]:
                    status = _status_object(410, "Expired", f"too old resource version: {sent} ({api.oldest[path]})")
                    batch, over = [("ERROR", status)], True
                else:
                    batch = [(what, item) for version, what, item in api.events[path] if version > sent]
                    over = time.monotonic() >= until_s
                if not batch and not over:
                    api.changed.wait(api.bookmark_every_s)
                    if api.epoch == epoch and not api.silent:
                        # A bookmark must never overtake an event that has not been sent yet.
                        batch = [(w, i) for version, w, i in api.events[path] if version > sent]
                        batch += [("BOOKMARK", _bookmark(kind, group_version, api.version))]
                cut, silent = api.epoch != epoch, api.silent
            if silent:
                self._hang()
                return
            if cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            for what, item in batch:
                sent = int(item["metadata"].get("resourceVersion", sent))
                whole = what in ("ERROR", "BOOKMARK") or not partial
                self._chunk({"type": what, "object": item if whole else _partial(item)})
            if over:
                self.wfile.write(b"0\r\n\r\n")
                return

    def _hang(self) -> None:
        epoch = self.api.epoch
        with self.api.changed:
            self.api.changed.wait_for(lambda: self.api.epoch != epoch)
        self.close_connection = True

    def _chunk(self, event: dict) -> None:
        line = json.dumps(event).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def _status(self, code: int, reason: str, message: str) -> None:
        self._json(code, _status_object(code, reason, message))

    def _json(self, code: int, body: dict) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _partial(item: dict) -> dict:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def _bookmark(kind: str, group_version: str, version: int) -> dict:
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    return {"kind": kind, "apiVersion": group_version, "metadata": metadata}


def _status_object(code: int, reason: str, message: str) -> dict:
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return head | {"message": message, "reason": reason, "code": code}
