"""Requests to the API server, each with an end.

The official client brings credentials, certificates and proxies; its `Watch` and `SharedInformer` are left aside,
because both wait for ever on a connection that went silent (docs/decisions/0009-watches.md). Here every read has a
time-out, no request is retried behind our back, and a reader in another thread can be woken to stop.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import urlencode

from kubernetes import client, config
from kubernetes.config import incluster_config
from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import HTTPError
from yaml import YAMLError

from scaler.errors import ConfigurationError, FleetError

JsonObject: TypeAlias = Mapping[str, object]
"""One object as the API server sends it. What it holds is read in objects.py only."""


@dataclass(frozen=True, slots=True)
class Timings:
    """How long to wait for what, seconds.

    The server ends each watch after `watch_s`; a watch that is silent for `silence_s` more than that is half-open. So
    a dead connection is noticed within the sum, whether or not the server sends bookmarks.
    """

    connect_s: float = 5
    list_read_s: float = 30
    watch_s: int = 30
    silence_s: float = 10
    first_retry_s: float = 0.5
    longest_retry_s: float = 30

    @property
    def noticed_within_s(self) -> float:
        """The longest time for which a dead watch can look alive."""
        return self.watch_s + self.silence_s + self.connect_s


class ApiError(FleetError):
    """The API server cannot be reached, or did not answer in time."""


class ApiRefusedError(ApiError):
    """The API server answered with an error."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class GoneError(ApiError):
    """The resourceVersion is too old: only a new list can tell what happened since."""


class KubernetesApi:
    """Requests to one API server, from any thread."""

    def __init__(self, configuration: client.Configuration, timings: Timings | None = None) -> None:
        self.timings = timings or Timings()
        # urllib3 would repeat a read that timed out three times, and so notice a dead server four times later.
        configuration.retries = False
        self._configuration = configuration
        self._client = client.ApiClient(configuration=configuration)
        self._credentials = threading.Lock()
        self._open_lock = threading.Lock()
        self._open: set[BaseHTTPResponse] = set()
        self._closed = False

    def get(self, path: str, query: Mapping[str, str], accept: str) -> JsonObject:
        """One object, or one page of a list.

        Raises:
            ApiRefusedError: the server answered with an error status.
            GoneError: a continue token is too old.
            ApiError: it did not answer, or not with JSON.
        """
        timeout = Timeout(connect=self.timings.connect_s, read=self.timings.list_read_s)
        with self._response("GET", f"{path}?{urlencode(query)}", accept, timeout) as response:
            return _object(response, f"{self.host}{path}")

    def send(
        self, method: str, path: str, body: object, within_s: float, content_type: str = "application/json"
    ) -> JsonObject:
        """Read or write one object, with an answer within so many seconds or none. Nothing is sent twice.

        `body` is anything that JSON has, None for none.

        Raises:
            ApiRefusedError: the server answered with an error status.
            ApiError: it did not answer, or not with JSON. A write may have been done all the same.
        """
        timeout = Timeout(total=within_s)
        with self._response(method, path, "application/json", timeout, body, content_type) as response:
            return _object(response, f"{self.host}{path}")

    @contextmanager
    def watch(self, path: str, query: Mapping[str, str], accept: str) -> Iterator[Iterator[bytes]]:
        """A stream of events, one JSON line each; it is established when the block is entered.

        Raises:
            ApiRefusedError: the server answered with an error status.
            GoneError: the resourceVersion is too old.
            ApiError: the connection broke, or was silent for longer than `watch_s + silence_s`.
        """
        query = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(self.timings.watch_s)}
        timeout = Timeout(connect=self.timings.connect_s, read=self.timings.watch_s + self.timings.silence_s)
        with self._response("GET", f"{path}?{urlencode(query)}", accept, timeout) as response:
            yield _lines(response)

    def close(self) -> None:
        """Wake every reader and give back all connections. Later requests fail."""
        with self._open_lock:
            self._closed = True
            for response in self._open:
                # Closing a socket does not wake a thread that is blocked in recv; shutting it down does.
                with suppress(ValueError, RuntimeError, OSError):  # it has just ended by itself
                    response.shutdown()
        self._client.close()  # type: ignore[no-untyped-call]  # the generated client has no annotations here

    @property
    def host(self) -> str:
        """URL of the API server."""
        return str(self._configuration.host)

    @contextmanager
    def _response(
        self,
        method: str,
        target: str,
        accept: str,
        timeout: Timeout,
        body: object = None,
        content_type: str = "application/json",
    ) -> Iterator[BaseHTTPResponse]:
        path = target.partition("?")[0]
        try:
            response = self._client.rest_client.pool_manager.request(
                method,
                f"{self.host}{target}",
                headers=self._headers(accept) | ({} if body is None else {"Content-Type": content_type}),
                body=None if body is None else json.dumps(body).encode(),
                preload_content=False,
                timeout=timeout,
            )
            self._admit(response)
            try:
                _raise_for_status(response, path)
                yield response
            finally:
                with self._open_lock:
                    self._open.discard(response)
                response.close()
        except (HTTPError, OSError) as error:
            raise ApiError(f"{self.host}{path}: {type(error).__name__}: {error}") from error

    def _admit(self, response: BaseHTTPResponse) -> None:
        with self._open_lock:
            if self._closed:
                response.close()
                raise ApiError("the connection to the API server has been closed")
            self._open.add(response)

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "calltide"}
        with self._credentials:  # the refresh hooks of the client write to the configuration
            token = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            headers["authorization"] = token
        return headers


def connect(
    kubeconfig: Path | None = None, context: str | None = None, timings: Timings | None = None
) -> KubernetesApi:
    """The cluster that a kubeconfig names, or without one the cluster that this process runs in.

    Raises:
        ConfigurationError: neither is usable, with how to mend it.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # untyped
            # It is declared as None, and called when it is not.
            configuration.refresh_api_key_hook = _read_service_account_token  # type: ignore[assignment]  # see above
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # the config package has no annotations
                config_file=str(kubeconfig), context=context, client_configuration=configuration
            )
    except (config.ConfigException, OSError, YAMLError) as error:
        where = f"kubeconfig {kubeconfig}" if kubeconfig else "no kubeconfig is named and this is not a pod"
        raise ConfigurationError(f"{where}: {error}; name a usable kubeconfig or run inside the cluster") from error
    return KubernetesApi(configuration, timings)


def _read_service_account_token(configuration: client.Configuration) -> None:
    # The client's own hook reads the rotated token by naive local time, and so an hour late when clocks go back.
    token = Path(incluster_config.SERVICE_TOKEN_FILENAME).read_text(encoding="utf-8").strip()
    configuration.api_key["BearerToken"] = f"Bearer {token}"


def _object(response: BaseHTTPResponse, where: str) -> JsonObject:
    try:
        return cast("JsonObject", json.loads(response.data))
    except ValueError as error:
        raise ApiError(f"{where} did not answer with JSON: {error}") from error


def _raise_for_status(response: BaseHTTPResponse, path: str) -> None:
    if response.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return
    reason = response.data[:500].decode("utf-8", errors="replace")
    with suppress(ValueError, KeyError, TypeError):  # a proxy answers with text of its own, shown as it is
        reason = str(json.loads(response.data)["message"])
    if response.status == HTTPStatus.GONE:
        raise GoneError(f"{path}: {reason}")
    remedies: Mapping[int, str] = {
        HTTPStatus.UNAUTHORIZED: "; check the credentials",
        HTTPStatus.FORBIDDEN: f"; grant {_rights(path)} as docs/kubernetes.md lists them",
    }
    remedy = remedies.get(response.status, "")
    raise ApiRefusedError(f"{path} answered {response.status}: {reason}{remedy}", response.status)


def _rights(path: str) -> str:
    known = {
        "/leases": "get, create and update",
        "/scale": "patch",
        "/events": "create",
        "/pods/": "patch and delete",
        "/endpointslices": "list",
    }
    return next((rights for part, rights in known.items() if part in path), "get, list and watch")


def _lines(response: BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(65536, decode_content=False):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)
