"""The rig's certificates: a cluster authority with its servers and users, and the aggregator's own authority.

Every user has the name that it has in a real cluster, since admission and audit tell who did something by it; nobody
but the person at kubectl is in `system:masters`, which passes every check.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.servers.certificates import Authority, Leaf, private_key

SERVICE_NETWORK = "10.96.0.0/16"
_FIRST_SERVICE_ADDRESS = "10.96.0.1"


@dataclass(frozen=True, slots=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


class Pki:
    """Files below one folder, made as they are asked for."""

    def __init__(self, folder: Path, server_address: str) -> None:
        self.folder = folder
        self._server_address = server_address
        self._cluster = Authority("calltide rig")
        self._front_proxy = Authority("calltide rig front proxy")
        folder.mkdir(parents=True)
        self.authority = self._write("ca.crt", self._cluster.certificate)
        self.front_proxy_authority = self._write("front-proxy-ca.crt", self._front_proxy.certificate)
        self.front_proxy = self._pair("front-proxy", self._front_proxy.identify("front-proxy-client"))
        self.service_account_key = self._write("service-account.key", private_key())

    @property
    def authority_pem(self) -> bytes:
        """The cluster's authority."""
        return self._cluster.certificate

    def api_server(self) -> Pair:
        """The API server's certificate."""
        names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
        return self.server("kube-apiserver", *names, "127.0.0.1", self._server_address, _FIRST_SERVICE_ADDRESS)

    def server(self, name: str, *hosts: str) -> Pair:
        """A certificate for servers at these hosts, good for a client as well."""
        return self._pair(name, self._cluster.issue(*hosts))

    def user(self, name: str, *groups: str) -> Pair:
        """A client certificate of a Kubernetes user."""
        return self._pair(name.replace(":", "-"), self._cluster.identify(name, *groups))

    def kubeconfig(self, api_server_url: str, user: str, *groups: str) -> Path:
        """A kubeconfig of a Kubernetes user. JSON is YAML, and needs no library to be written right."""
        pair = self.user(user, *groups)
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "rig",
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": user}}],
            "clusters": [
                {"name": "rig", "cluster": {"server": api_server_url, "certificate-authority": str(self.authority)}}
            ],
            "users": [
                {"name": user, "user": {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}}
            ],
        }
        text = json.dumps(content, indent=1)
        return self._write(f"{user.replace(':', '-')}.kubeconfig", text.encode())

    def _pair(self, name: str, leaf: Leaf) -> Pair:
        return Pair(self._write(f"{name}.crt", leaf.certificate), self._write(f"{name}.key", leaf.key))

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o600 if name.endswith(".key") else 0o644)
        return path
