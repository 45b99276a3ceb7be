"""A Prometheus behind TLS and a password, with a limit on samples: Debian's own --web.config.file."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from forecasting.errors import SourceConfigurationError
from forecasting.grid import SlotGrid
from forecasting.load import Measure
from forecasting.sources import HistoryQuery, PrometheusSettings
from forecasting.sources.prometheus import PrometheusSource
from tests.servers.prometheus import PrometheusServer, write_blocks

DAY = SlotGrid(1_780_012_800, 300, 288)
QUERY = HistoryQuery(Measure.CHANNELS, "sum by (tenant) (channels)", "tenant")
PASSWORD = "correct horse"
BCRYPT_OF_IT = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"


def write_certificate(folder: Path) -> None:
    """A self-signed certificate for 127.0.0.1: tls.crt, tls.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "prometheus of a test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("locked")
    write_certificate(folder)
    (folder / "password").write_text(PASSWORD + "\n")
    web = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n"
    web += f"basic_auth_users: {{calltide: {BCRYPT_OF_IT}}}\n"
    server = PrometheusServer(folder, web_config=web, flags=["--query.max-samples=500"])
    tenants = [{"tenant": f"t{number}"} for number in range(4)]
    write_blocks(
        server.data, "channels", tenants, (DAY.starts_s + 300).tolist(), [[float(row)] * 288 for row in range(4)]
    )
    server.start()
    yield server
    server.stop()


def source(server: PrometheusServer, **settings: object) -> PrometheusSource:
    given = {
        "type": "prometheus",
        "url": server.url,
        "basicAuth": {"username": "calltide", "passwordFile": str(server.folder / "password")},
        "tls": {"caFile": str(server.folder / "tls.crt")},
        "retries": 0,
        **settings,
    }
    return PrometheusSource(PrometheusSettings.model_validate(given), "locked")


def test_password_and_authority_open_the_door_and_the_servers_own_limit_is_met_in_parts(
    server: PrometheusServer,
) -> None:
    load = source(server).read(QUERY, DAY)
    assert [float(load.row(f"t{number}").mean()) for number in range(4)] == [0, 1, 2, 3]
    assert load.observed.all()


def test_a_wrong_password_is_told_without_showing_it(server: PrometheusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLTIDE_TEST_PASSWORD", "wr0ng")
    user = {"username": "calltide", "passwordEnv": "CALLTIDE_TEST_PASSWORD"}
    with pytest.raises(SourceConfigurationError, match=r"HTTP 401: .*check basicAuth or the bearer token") as error:
        source(server, basicAuth=user).read(QUERY, DAY)
    assert "wr0ng" not in str(error.value)


def test_a_server_that_nobody_vouches_for_is_not_believed(server: PrometheusServer) -> None:
    with pytest.raises(SourceConfigurationError, match=r"certificate is not accepted: self.signed.*; set tls.caFile"):
        source(server, tls={}).read(QUERY, DAY)


def test_verification_can_be_switched_off(server: PrometheusServer) -> None:
    unchecked = source(server, tls={"insecureSkipVerify": True})
    with pytest.warns(Warning, match="Unverified HTTPS request"):
        assert len(unchecked.current(QUERY, DAY.end_s).by_tenant) == 4


def test_an_authority_file_that_is_not_there_is_told(server: PrometheusServer) -> None:
    with pytest.raises(SourceConfigurationError, match=r"/nowhere/ca\.crt"):
        source(server, tls={"caFile": "/nowhere/ca.crt"}).read(QUERY, DAY)
