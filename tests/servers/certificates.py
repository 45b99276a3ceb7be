"""Certificates for tests: an authority, and leaves that it signs, in the layout of a mounted Secret."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Leaf:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority of its own."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        certificate = _unsigned(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = _pem(certificate.sign(self._key, hashes.SHA256()))

    def issue(self, *hosts: str) -> Leaf:
        """A certificate for these host names and addresses, for servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        unsigned = _unsigned(_named(hosts[0]), self._name, key).add_extension(names, critical=False)
        return Leaf(_pem(unsigned.sign(self._key, hashes.SHA256())), _private_pem(key))

    def identify(self, user: str, *groups: str) -> Leaf:
        """A client certificate that Kubernetes reads as this user in these groups."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, user),
            ]
        )
        return Leaf(_pem(_unsigned(name, self._name, key).sign(self._key, hashes.SHA256())), _private_pem(key))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def private_key() -> bytes:
    """A key for what is signed without a certificate, in the older PEM form, which kube-apiserver can read."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class MountedSecret:
    """A folder as a kubelet mounts a Secret: its files are links through `..data`, which is swapped as a whole."""

    NAMES = ("tls.crt", "tls.key", "ca.crt")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._version = 0
        for name in self.NAMES:
            (folder / name).symlink_to(Path("..data") / name)

    def swap(self, leaf: Leaf, client_ca: bytes) -> None:
        """Replace all files at once."""
        self._version += 1
        fresh = self.folder / f"..{self._version}"
        fresh.mkdir()
        for name, content in zip(self.NAMES, (leaf.certificate, leaf.key, client_ca), strict=True):
            (fresh / name).write_bytes(content)
        link = self.folder / "..data_tmp"
        link.symlink_to(fresh.name)
        link.replace(self.folder / "..data")
