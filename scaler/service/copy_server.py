"""Where followers copy the leader's books: one address, on a port of its own.

The page has no log-in and no TLS, and what tells replicas their answers must not be forged. So this is a second, tiny
server: with `replicas.tls` it shows a certificate and demands one, and it hands out the same books to whoever may
connect. It answers only while this replica leads, so that nobody copies from one that merely did.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scaler.errors import ConfigurationError
from scaler.service.http_server import BackgroundServer, listen
from scaler.service.settings import ReplicaSettings, ReplicaTls

_log = structlog.get_logger("replicas")

COPY_PATH = "/replica/v1/books"
STOP_WITHIN_S = 1.0


class Offer(Protocol):
    """The leader's books as they are now."""

    @property
    def tag(self) -> str:
        """Changes whenever anything in the books does."""
        ...

    def body(self) -> bytes:
        """The books as bytes. May take as long as packing them takes."""
        ...


def copy_app(offer: Callable[[], Offer | None]) -> Starlette:
    """The application over what is offered now; None while this replica does not lead, or has no plan yet."""

    async def books(request: Request) -> Response:
        offered = offer()
        if offered is None:
            return Response("this replica does not lead, or has not planned yet\n", 503, media_type="text/plain")
        headers = {"ETag": offered.tag}
        if request.headers.get("if-none-match") == offered.tag:
            return Response(None, 304, headers)
        raw = await asyncio.to_thread(offered.body)
        return Response(raw, 200, headers, media_type="application/octet-stream")

    return Starlette(routes=[Route(COPY_PATH, books, methods=["GET"])])


def client_context(tls: ReplicaTls) -> ssl.SSLContext:
    """What a follower trusts and shows.

    Raises:
        ConfigurationError: the files cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=str(tls.ca_file))
        context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise _unusable(tls, error) from error
    return context


class CopyServer:
    """The server, and the look at its certificate, which may be renewed while it runs."""

    def __init__(self, settings: ReplicaSettings, offer: Callable[[], Offer | None]) -> None:
        """Take the address.

        Raises:
            AddressError: nothing can listen there.
            ConfigurationError: the certificates cannot be used.
        """
        self._tls = settings.tls
        tls_options: dict[str, object] = {}
        if self._tls is not None:
            client_context(self._tls)
            tls_options = {
                "ssl_certfile": str(self._tls.certificate_file),
                "ssl_keyfile": str(self._tls.key_file),
                "ssl_ca_certs": str(self._tls.ca_file),
                "ssl_cert_reqs": ssl.CERT_REQUIRED,
            }
        self._config = uvicorn.Config(
            copy_app(offer),
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
            **tls_options,  # type: ignore[arg-type]  # a few of many parameters of many types
        )
        self._sockets = listen("replicas.listen", settings.listen)
        self._server = BackgroundServer(self._config)
        self._seen = self._files()
        self._problem = False

    def start(self) -> None:
        """Begin to answer, on the running event loop."""
        self._server.start(self._sockets)

    async def stop(self) -> None:
        """Answer no more."""
        await self._server.stop(STOP_WITHIN_S)

    def renew(self) -> None:
        """Show and trust renewed certificates from the next connection on; broken ones leave those of before in use."""
        if self._tls is None or self._config.ssl is None or (files := self._files()) == self._seen:
            return
        try:
            client_context(self._tls)
            # Added to those of before: the other side may show either while authorities change.
            self._config.ssl.load_verify_locations(self._tls.ca_file)
            self._config.ssl.load_cert_chain(self._tls.certificate_file, self._tls.key_file, password=lambda: b"")
        except (ConfigurationError, OSError, ValueError) as error:
            if not self._problem:
                _log.error("certificate of replicas not renewed; the one before stays in use", reason=str(error))
            self._problem = True
        else:
            _log.info("certificate of replicas renewed")
            self._seen, self._problem = files, False

    def _files(self) -> tuple[int, ...]:
        if self._tls is None:
            return ()
        return tuple(_changed_at(path) for path in (self._tls.certificate_file, self._tls.key_file, self._tls.ca_file))


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _unusable(tls: ReplicaTls, error: Exception) -> ConfigurationError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "it cannot be decoded"
    return ConfigurationError(
        f"replicas.tls: {tls.certificate_file}, {tls.key_file} and {tls.ca_file} are not a certificate, its key "
        f"without a passphrase and an authority in PEM: {reason}"
    )
