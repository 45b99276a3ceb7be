"""The service's own configuration, `calltide.yaml`: what runs where, and which servers it may talk to.

What is decided about fleets is in the policies; this file names hosts, folders and certificates. It is read once at
start and passed on as a value.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from forecasting.sources.settings import SettingsModel, SourceSettings
from scaler.core.election import ElectionTimings
from scaler.fleet.pbx.settings import AnyMediaServer
from scaler.fleet.proxies.settings import AnyFrontGate
from scaler.policy.fields import Name, Seconds
from scaler.service.replica_url import is_replica_url, replica_url_form

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def _expanded(text: object) -> object:
    """The text with each `${NAME}` replaced by that environment variable; nothing else begins with a dollar sign."""
    if not isinstance(text, str):
        return text

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not os.environ.get(name):
            raise ValueError(f"the environment variable {name} is not set; set it, or write the value here")
        return os.environ[name]

    if "$" in _VARIABLE.sub("", text):
        raise ValueError("a '$' begins the name of an environment variable in braces, like ${POD_IP}")
    return _VARIABLE.sub(value, text)


def _listen_address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not an address; write it like '127.0.0.1:8080' or '[::]:9090'")
    return text


def _scheduler_address(text: str) -> str:
    if re.fullmatch(r"(tcp|tls)://([^\s/:\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}", text) is None:
        raise ValueError(f"{text!r} is no address of a Dask scheduler; write it like 'tcp://dask-scheduler:8786'")
    return text


FromEnvironment = Annotated[str, BeforeValidator(_expanded)]
"""A text that may hold `${NAME}`: what differs between replicas that share one file."""

ListenAddress = Annotated[FromEnvironment, AfterValidator(_listen_address)]
SchedulerAddress = Annotated[FromEnvironment, AfterValidator(_scheduler_address)]


class KubernetesFleets(SettingsModel):
    """Fleets are the ScaledObjects of a cluster that point here."""

    adapter: Literal["kubernetes"]
    """`kubernetes`."""
    kubeconfig: Path | None = None
    """A kubeconfig file; in a cluster leave it out, and the pod's own account is used."""
    scaler_addresses: tuple[str, ...] = ()
    """`scalerAddress` values that mean this calltide; empty means every external trigger that names a policy."""
    namespaces: tuple[Name, ...] = ()
    """Only fleets in these namespaces; empty means all."""


class SimulatedFleets(SettingsModel):
    """Without a cluster: the fleets that the policies list, with simulated pods that follow the answers."""

    adapter: Literal["simulated"] = "simulated"
    """`simulated`."""


class TlsSettings(SettingsModel):
    """Certificates of the gRPC server, in PEM. Rotated files are picked up without a restart."""

    certificate_file: Path
    """Server certificate, chain included."""
    key_file: Path
    """Its private key."""
    client_ca_file: Path | None = None
    """When given, only clients with a certificate of this authority are answered."""


class KedaSettings(SettingsModel):
    """The gRPC server that KEDA asks."""

    listen: ListenAddress = "127.0.0.1:9090"
    """Address and port."""
    tls: TlsSettings | None = None
    """Without it the connection is not encrypted."""
    stale_after: Seconds = Field(30, ge=30, le=600)
    """An answer book older than this answers alone, as if nobody could recall a draining pod."""
    max_connection_age: Seconds = Field(300, ge=10, le=86400)
    """After this a connection is closed gracefully, so that KEDA spreads over all replicas again."""


class WebSettings(SettingsModel):
    """The page, the JSON API, health and metrics."""

    listen: ListenAddress = "127.0.0.1:8080"
    """Address and port."""


class ReplicaTls(SettingsModel):
    """Certificates of the replicas among each other, in PEM. Every replica shows the same one, as server and client."""

    certificate_file: Path
    """Certificate of the replicas, chain included, for server and client authentication."""
    key_file: Path
    """Its private key."""
    ca_file: Path
    """The authority that signed it. Nobody else is copied from, and nobody else may copy."""
    server_name: str = Field(min_length=1, max_length=253)
    """A host name among the certificate's subject alternative names, like that of the Service."""


class ReplicaSettings(SettingsModel):
    """Several calltides with one configuration: one leads, elected by a Lease, and the others copy its answers."""

    listen: ListenAddress
    """Address and port at which the others copy from this replica."""
    advertise: FromEnvironment | None = None
    """URL of that address as the others reach it, `http(s)://HOST:PORT`; made from `listen` when left out."""
    name: FromEnvironment | None = Field(None, min_length=1, max_length=253)
    """Name of this replica, that of its pod; the host's name when left out."""
    namespace: FromEnvironment | None = None
    """Namespace of the Lease; the pod's own when left out."""
    lease: Name = "calltide"
    """Name of the Lease."""
    tls: ReplicaTls | None = None
    """Without it, whoever can pretend to be the leader can tell KEDA any number."""
    lease_duration: Seconds = Field(15, ge=3, le=120)
    """A leader that has not renewed the Lease for this long is followed by another."""
    renew_deadline: Seconds = Field(10, ge=2, le=96)
    """A leader that could not renew the Lease for this long stops; at most 80 % of `leaseDuration`."""
    retry_period: Seconds = Field(2, ge=1, le=32)
    """How often the Lease is renewed or looked at; at most a third of `renewDeadline`."""

    @model_validator(mode="after")
    def _keeps_leaders_apart(self) -> Self:
        _ = self.timings
        host = self.listen.rpartition(":")[0].strip("[]")
        if self.advertise is None and host in ("0.0.0.0", "::", ""):  # noqa: S104 - it is compared, not bound
            raise ValueError(f"replicas.listen is {self.listen}, where nobody can be reached; give replicas.advertise")
        if not is_replica_url(self.address, tls=self.tls is not None):
            form = replica_url_form(tls=self.tls is not None)
            raise ValueError(f"others would copy from {self.address!r}; write replicas.advertise like {form}")
        return self

    @property
    def timings(self) -> ElectionTimings:
        """The times of the election."""
        return ElectionTimings(self.lease_duration, self.renew_deadline, self.retry_period)

    @property
    def address(self) -> str:
        """Where the others copy from this replica."""
        return self.advertise or f"{'http' if self.tls is None else 'https'}://{self.listen}"

    @property
    def replica_name(self) -> str:
        """Name of this replica."""
        return self.name or socket.gethostname()


class RetirementSettings(SettingsModel):
    """How pods are asked what they carry, and what steers calls to them. Policies say which of these is a fleet's."""

    media_servers: dict[Name, AnyMediaServer] = Field(min_length=1)
    """Ways to ask media servers, by name; a policy refers to one by `retirement.mediaServer`."""
    front_gates: dict[Name, AnyFrontGate] = Field(default_factory=dict)
    """Groups of proxies, by name; a policy refers to them by `retirement.frontGates`."""


class LogSettings(SettingsModel):
    """How the service logs, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is shown."""
    format: Literal["json", "console"] = "json"
    """`json` for machines, `console` for a person at a terminal."""


class Configuration(SettingsModel):
    """One configuration file."""

    api_version: Literal["calltide.io/v1"]
    """Always `calltide.io/v1`."""
    kind: Literal["Configuration"]
    """Always `Configuration`."""
    policies: Path
    """Directory of policy files. Relative paths are relative to this file."""
    state: Path
    """Directory for what must survive a restart: archive, plan book, answer book, policies in force."""
    archive: str | None = None
    """fsspec URL of the history archive; `archive` in the state directory when left out."""
    sources: dict[Name, SourceSettings] = Field(default_factory=dict)
    """History sources by name; a policy refers to one by `history.source`."""
    fleets: Annotated[KubernetesFleets | SimulatedFleets, Field(discriminator="adapter")] = SimulatedFleets()
    """Where fleets and pods are seen."""
    keda: KedaSettings = KedaSettings()
    """The gRPC server that KEDA asks."""
    web: WebSettings = WebSettings()
    """The page, the JSON API, health and metrics."""
    retirement: RetirementSettings | None = None
    """How pods are proved empty; without it nothing is retired, whatever a policy says."""
    replicas: ReplicaSettings | None = None
    """Several calltides on one cluster; a single one, which always leads, when left out."""
    launch_budget_pods: int | None = Field(None, ge=1, le=100_000)
    """Pods that all fleets together may launch for their forecasts in one step of 15 s; unlimited when left out."""
    workers: int = Field(1, ge=1, le=64)
    """Processes for forecasts and backtests."""
    dask_scheduler: SchedulerAddress | None = None
    """Address of the scheduler of a Dask cluster that computes forecasts; the workers do it alone when left out."""
    log: LogSettings = LogSettings()
    """How the service logs."""

    @model_validator(mode="after")
    def _servers_do_not_share_a_port(self) -> Self:
        if self.keda.listen == self.web.listen and not self.web.listen.endswith(":0"):
            raise ValueError(f"keda.listen and web.listen are both {self.web.listen}; give them different ports")
        return self

    @model_validator(mode="after")
    def _replicas_share_a_cluster(self) -> Self:
        if self.replicas is not None and not isinstance(self.fleets, KubernetesFleets):
            raise ValueError(
                "replicas elect their leader by a Lease; set fleets.adapter to kubernetes, or drop replicas"
            )
        return self

    @model_validator(mode="after")
    def _pods_can_be_retired(self) -> Self:
        if self.retirement is not None and not isinstance(self.fleets, KubernetesFleets):
            raise ValueError("retirement ends pods of a cluster; set fleets.adapter to kubernetes, or drop retirement")
        return self

    @property
    def archive_url(self) -> str:
        """Where the history archive lives."""
        return self.archive or str(self.state / "archive")

    @property
    def book_path(self) -> Path:
        """The answer book that the KEDA process reads."""
        return self.state / "answers.book"

    @property
    def keda_stats_path(self) -> Path:
        """Where the KEDA process leaves its counters for the metrics page."""
        return self.state / "keda-stats.json"
