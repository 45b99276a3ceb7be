"""A proxy that answers as a real Kamailio did (tests/captures/kamailio), and misbehaves on demand."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Rpc = dict[str, Any]
Answer = tuple[int, bytes]


@dataclass
class Line:
    """One line of the dispatcher's list. `flags` are the dispatcher's own two letters."""

    set_id: int
    uri: str
    flags: str = "AP"
    duid: str | None = None


@dataclass
class MadeUpProxy:
    """One proxy on `address`. With `instead` every request is answered by it; while `hangs` none is."""

    address: str
    lines: list[Line] = field(default_factory=list)
    instead: Callable[[Rpc], Answer] | None = None
    port: int = 0
    certificate: ssl.SSLContext | None = None
    told: list[list[Any]] = field(default_factory=list)
    """Method and parameters of everything that changes it."""
    authorizations: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hangs: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer((self.address, self.port), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if self.certificate is not None:
            self._server.socket = self.certificate.wrap_socket(self._server.socket, server_side=True)
        self._goes_on = threading.Event()
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def name(self) -> str:
        return f"{self.address}:{self._server.server_port}"

    def stop(self) -> None:
        self._goes_on.set()
        self._server.shutdown()
        self._server.server_close()

    def reload(self) -> None:
        """Forget every state, as `dispatcher.reload` does."""
        for line in self.lines:
            line.flags = "AX"

    def flags(self) -> list[str]:
        return [line.flags for line in self.lines]

    def answered(self, request: Rpc) -> Answer:
        self.asked.set()
        if self.hangs.is_set():
            self._goes_on.wait(60)
        if self.instead is not None:
            return self.instead(request)
        match request["method"], request["params"]:
            case "dispatcher.list", []:
                return listed(self.lines, request["id"])
            case ("dispatcher.set_state" | "dispatcher.set_duid_state") as method, [
                str(state),
                int(number),
                str(which),
            ]:
                self.told.append([method, state, number, which])
                return self._set(method, state, number, which, request["id"])
        return failed("Method Not Found", request["id"])

    def _set(self, method: str, state: str, number: int, which: str, request_id: int) -> Answer:
        for line in self.lines:
            own = line.uri if method == "dispatcher.set_state" else line.duid or ""
            if line.set_id == number and own.lower() == which.lower():
                # The first line alone, as the module does it.
                line.flags = state[0].upper() + ("P" if state[1:] == "p" else "X")
                return 200, json.dumps(
                    {"jsonrpc": "2.0", "result": "Ok. Dispatcher state updated.", "id": request_id}
                ).encode()
        return failed("State Update Failed", request_id)


def failed(message: str, request_id: int = 1) -> Answer:
    """An error, as Kamailio tells one."""
    return 500, json.dumps({"jsonrpc": "2.0", "error": {"code": 500, "message": message}, "id": request_id}).encode()


def listed(lines: list[Line], request_id: int = 1) -> Answer:
    """The answer to `dispatcher.list`."""
    if not lines:
        return failed("No Destination Sets", request_id)
    records = [
        {"SET": {"ID": number, "TARGETS": [{"DEST": _told(line)} for line in lines if line.set_id == number]}}
        for number in dict.fromkeys(line.set_id for line in lines)
    ]
    result = {"NRSETS": len(records), "RECORDS": records}
    return 200, json.dumps({"jsonrpc": "2.0", "result": result, "id": request_id}).encode()


def _told(line: Line) -> Rpc:
    told: Rpc = {"URI": line.uri, "FLAGS": line.flags, "PRIORITY": 0}
    return told if line.duid is None else told | {"ATTRS": {"BODY": f"duid={line.duid}", "DUID": line.duid}}


def _handler(proxy: MadeUpProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            proxy.authorizations.append(self.headers.get("Authorization"))
            proxy.paths.append(self.path)
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = proxy.answered(request)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    return Handler
