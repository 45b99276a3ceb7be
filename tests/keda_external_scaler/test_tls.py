"""TLS as KEDA uses it: whom the server shows itself to, whom it lets in, and certificates renewed under it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import grpc
import pytest

from keda_external_scaler.errors import ServerConfigurationError
from keda_external_scaler.questions import Questions
from keda_external_scaler.server import Connections, Server
from keda_external_scaler.tls import RotatingCertificate, TlsFiles
from tests.servers.certificates import Authority, Leaf, MountedSecret
from tests.servers.keda import ACME, Polled, Scene, connected, poll, scaled_object

OURS, THEIRS, CLIENTS = Authority("ours"), Authority("theirs"), Authority("clients")
SERVER = OURS.issue("localhost", "127.0.0.1")


@pytest.fixture
def secret(tmp_path: Path) -> MountedSecret:
    secret = MountedSecret(tmp_path)
    secret.swap(SERVER, CLIENTS.certificate)
    return secret


@pytest.fixture
def changes() -> list[str | None]:
    return []


@contextmanager
def serving_tls(secret: MountedSecret, changes: list[str | None], *, mutual: bool = False) -> Iterator[int]:
    scene = Scene()
    scene.publish(ACME)
    folder = secret.folder
    files = TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "ca.crt" if mutual else None)
    connections = Connections("127.0.0.1:0", RotatingCertificate(files, changes.append).credentials(), 300.0)
    questions = Questions(lambda: scene.book, lambda: scene.wall_s, 30.0, scene.stats)
    server = Server(questions, scene.stats, connections)
    server.start()
    try:
        yield server.port
    finally:
        server.stop(1.0)


def trusting(authority: Authority, leaf: Leaf | None = None) -> grpc.ChannelCredentials:
    if leaf is None:
        return grpc.ssl_channel_credentials(authority.certificate)
    return grpc.ssl_channel_credentials(authority.certificate, leaf.key, leaf.certificate)


def polled_over(port: int, credentials: grpc.ChannelCredentials | None, host: str = "127.0.0.1") -> Polled | str:
    """What one poll over a new connection yields, or the code it fails with."""
    with connected(port, credentials, host) as channel:
        try:
            return poll(channel, scaled_object())
        except grpc.RpcError as failed:
            return failed.code().name


def answered(outcome: Polled | str) -> bool:
    return isinstance(outcome, Polled) and outcome.replicas == ACME.answer


def test_a_client_that_trusts_our_authority_is_answered(secret, changes):
    with serving_tls(secret, changes) as port:
        assert answered(polled_over(port, trusting(OURS)))
        assert answered(polled_over(port, trusting(OURS), "localhost"))


def test_a_client_that_trusts_another_authority_or_no_tls_at_all_gets_nothing(secret, changes):
    with serving_tls(secret, changes) as port:
        assert polled_over(port, trusting(THEIRS)) == "UNAVAILABLE"
        assert polled_over(port, None) == "UNAVAILABLE"


def test_a_certificate_for_another_host_is_not_accepted_by_the_client(secret, changes):
    secret.swap(OURS.issue("calltide.voice.svc"), CLIENTS.certificate)
    with serving_tls(secret, changes) as port:
        assert polled_over(port, trusting(OURS)) == "UNAVAILABLE"


def test_mutual_tls_lets_in_clients_of_the_named_authority_only(secret, changes):
    with serving_tls(secret, changes, mutual=True) as port:
        assert answered(polled_over(port, trusting(OURS, CLIENTS.issue("keda"))))
        assert polled_over(port, trusting(OURS, THEIRS.issue("keda"))) == "UNAVAILABLE"
        assert polled_over(port, trusting(OURS)) == "UNAVAILABLE"


def test_a_renewed_certificate_serves_new_connections_and_open_ones_go_on(secret, changes):
    with serving_tls(secret, changes) as port, connected(port, trusting(OURS)) as channel:
        assert poll(channel, scaled_object()).replicas == ACME.answer
        secret.swap(THEIRS.issue("127.0.0.1"), CLIENTS.certificate)
        assert answered(polled_over(port, trusting(THEIRS)))
        assert polled_over(port, trusting(OURS)) == "UNAVAILABLE"
        assert poll(channel, scaled_object()).replicas == ACME.answer
        assert changes == [None]


def test_a_renewed_client_authority_counts_for_new_connections(secret, changes):
    with serving_tls(secret, changes, mutual=True) as port:
        assert answered(polled_over(port, trusting(OURS, CLIENTS.issue("keda"))))
        secret.swap(SERVER, THEIRS.certificate)
        assert answered(polled_over(port, trusting(OURS, THEIRS.issue("keda"))))
        assert polled_over(port, trusting(OURS, CLIENTS.issue("keda"))) == "UNAVAILABLE"


@pytest.mark.parametrize(
    "spoilt",
    [
        Leaf(SERVER.certificate, OURS.issue("127.0.0.1").key),
        Leaf(b"-----BEGIN CERTIFICATE-----\nAAAA", SERVER.key),
        Leaf(b"", b""),
    ],
    ids=["key of another certificate", "cut certificate", "empty files"],
)
def test_files_that_do_not_fit_leave_the_certificate_of_before_in_use(secret, changes, spoilt):
    with serving_tls(secret, changes) as port:
        secret.swap(spoilt, CLIENTS.certificate)
        assert answered(polled_over(port, trusting(OURS)))
        assert answered(polled_over(port, trusting(OURS)))
        (problem,) = changes
        assert "tls.crt and " in problem
        assert "are not a certificate chain and its key" in problem
        assert "PRIVATE KEY" not in problem
        secret.swap(THEIRS.issue("127.0.0.1"), CLIENTS.certificate)
        assert answered(polled_over(port, trusting(THEIRS)))
        assert changes == [problem, None]


def test_files_that_vanish_leave_the_certificate_of_before_in_use(secret, changes):
    with serving_tls(secret, changes) as port:
        (secret.folder / "..data").unlink()
        assert answered(polled_over(port, trusting(OURS)))
        assert "tls.crt: the certificate cannot be read" in changes[0]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ((Leaf(SERVER.certificate, b"no key"), CLIENTS.certificate), "are not a certificate chain and its key"),
        ((SERVER, b"no authority"), "ca.crt holds no certificate authority in PEM"),
        ((SERVER, "Behörde".encode("latin-1")), "ca.crt holds no certificate authority in PEM"),
    ],
)
def test_a_server_does_not_start_with_files_that_cannot_be_used(secret, changes, content, complaint):
    secret.swap(*content)
    folder = secret.folder
    with pytest.raises(ServerConfigurationError, match=complaint):
        RotatingCertificate(TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "ca.crt"), changes.append)


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_below_tls_1_2_is_spoken(secret, changes, version, accepted):
    context = ssl.create_default_context(cadata=OURS.certificate.decode())
    context.set_alpn_protocols(["h2"])
    # The library's own security level would refuse the old version before the server can.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    expected = nullcontext() if accepted else pytest.raises(ssl.SSLError)
    with serving_tls(secret, changes) as port, socket.create_connection(("127.0.0.1", port)) as link, expected:
        context.wrap_socket(link, server_hostname="127.0.0.1").close()
