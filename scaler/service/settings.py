"""The service's own configuration, `calltide.yaml`: what runs where, and which servers it may talk to.

What is decided about fleets is in the policies; this file names hosts, folders and certificates. It is read once at
start and passed on as a value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from forecasting.sources.settings import SettingsModel, SourceSettings
from scaler.policy.fields import Name, Seconds


def _listen_address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{text!r} is not an address; write it like '127.0.0.1:8080' or '[::]:9090'")
    return text


ListenAddress = Annotated[str, AfterValidator(_listen_address)]


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
    launch_budget_pods: int | None = Field(None, ge=1, le=100_000)
    """Pods that all fleets together may launch for their forecasts in one step of 15 s; unlimited when left out."""
    workers: int = Field(1, ge=1, le=64)
    """Processes for forecasts and backtests."""
    log: LogSettings = LogSettings()
    """How the service logs."""

    @model_validator(mode="after")
    def _servers_do_not_share_a_port(self) -> Self:
        if self.keda.listen == self.web.listen and not self.web.listen.endswith(":0"):
            raise ValueError(f"keda.listen and web.listen are both {self.web.listen}; give them different ports")
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
