"""A local HTTP server that gives recorded or made-up answers, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. Header names are in lower case."""

    path: str
    form: dict[str, str]
    headers: dict[str, str]
    target: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. `cut` closes the connection in the middle of the body."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False

    @classmethod
    def of(cls, payload: object, status: int = 200) -> Answer:
        return cls(status, json.dumps(payload))


class ReplayServer:
    """Answers by a function of the request; `asked` has every request so far."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                asked = Asked(
                    urlsplit(self.path).path,
                    dict(parse_qsl(body, keep_blank_values=True)),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.path,
                )
                server.asked.append(asked)
                reply = answer(asked)
                payload = reply.body.encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Content-Length", str(len(payload)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload[: len(payload) // 2] if reply.cut else payload)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def recorded(file: Path) -> Callable[[Asked], Answer]:
    """Answers from a file of recorded exchanges: the one whose path, form and tenant are the request's."""
    exchanges = json.loads(file.read_text(encoding="utf-8"))

    def answer(asked: Asked) -> Answer:
        for exchange in exchanges:
            wanted = exchange["request"]
            tenant = asked.headers.get("x-scope-orgid")
            if (asked.path, asked.form, tenant) == (wanted["path"], wanted["form"], wanted["tenant"]):
                return Answer(exchange["status"], exchange["body"], exchange["content_type"])
        raise AssertionError(f"nothing is recorded for {asked.path} {asked.form}")

    return answer
