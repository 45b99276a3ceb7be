"""Server certificates that may be replaced while the server runs.

A mounted Secret is swapped under the process when a certificate is renewed. gRPC asks for the certificate at every
new connection, so the files are read then: what they hold is used at once, open connections go on, and files that do
not fit together (a swap in between, a half-written renewal) leave the certificate of before in use.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from keda_external_scaler.errors import ServerConfigurationError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the PEM files are. With `client_ca` a client must show a certificate of that authority."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class _Pem:
    certificate: bytes
    key: bytes
    client_ca: bytes | None


class RotatingCertificate:
    """The certificate in use, and the look at its files.

    `on_change` gets None when a renewed certificate was taken into use, else why it was not, once per fault.
    """

    def __init__(self, files: TlsFiles, on_change: Callable[[str | None], None]) -> None:
        """Read the files a first time.

        Raises:
            ServerConfigurationError: they cannot be used; the text names the file.
        """
        self._files = files
        self._on_change = on_change
        self._lock = threading.Lock()
        self._problem: str | None = None
        self._pem = _read_whole(files)
        self._configuration = _configuration(self._pem)

    def credentials(self) -> grpc.ServerCredentials:
        """What the server's port is opened with. TLS 1.2 is gRPC's own minimum."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self.newest, require_client_authentication=self._files.client_ca is not None
        )

    def newest(self) -> grpc.ServerCertificateConfiguration:
        """The certificate for a connection that is opened now."""
        with self._lock:
            try:
                if _read(self._files) != self._pem:
                    self._pem = _read_whole(self._files)
                    self._configuration = _configuration(self._pem)
                    self._on_change(None)
                self._problem = None
            except ServerConfigurationError as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    self._on_change(self._problem)
            return self._configuration


def _read(files: TlsFiles) -> _Pem:
    return _Pem(
        _read_file(files.certificate, "certificate"),
        _read_file(files.key, "key"),
        None if files.client_ca is None else _read_file(files.client_ca, "client CA"),
    )


def _read_file(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServerConfigurationError(
            f"{path}: the {what} cannot be read: {error.strerror}; give a PEM file that this process may read"
        ) from error


def _read_whole(files: TlsFiles) -> _Pem:
    """The files' content, seen to fit together by the library and the rules that clients go by."""
    pem = _read(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key behind a passphrase must not ask the terminal for it.
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise ServerConfigurationError(
            f"{files.certificate} and {files.key} are not a certificate chain and its key in PEM without a passphrase: "
            f"{_reason(error)}"
        ) from error
    if pem.client_ca is not None:
        try:
            context.load_verify_locations(cadata=pem.client_ca.decode("ascii"))
        except (OSError, ValueError) as error:
            raise ServerConfigurationError(
                f"{files.client_ca} holds no certificate authority in PEM: {_reason(error)}"
            ) from error
    # The library read the files a second time; only if they stood still is what was checked what will be used.
    if _read(files) != pem:
        raise ServerConfigurationError(f"{files.certificate}: the files changed while they were read; read again")
    return pem


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or "it cannot be decoded"


def _configuration(pem: _Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.client_ca)
