"""What an operator says about what stands in front of the pods: where it is, and as whom we come."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from forecasting.sources.settings import SettingsModel
from scaler.fleet.pbx.settings import Login, Port, Tls
from scaler.policy.fields import Name

Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)]
Address = Annotated[str, Field(pattern=r"^([0-9.]+|\[[0-9a-fA-F:]+\]):\d{1,5}$", max_length=60)]
ServiceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
_WORD = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
LabelKey = Annotated[str, Field(pattern=rf"^([a-z0-9.-]+/)?{_WORD}$", max_length=253)]
LabelValue = Annotated[str, Field(pattern=rf"^{_WORD}$", max_length=63)]
SetNumber = Annotated[int, Field(ge=0, le=2**31 - 1)]


class KamailioSettings(SettingsModel):
    """Kamailio proxies with the modules dispatcher and jsonrpcs; see deploy/kamailio."""

    type: Literal["kamailio"] = "kamailio"
    """`kamailio`."""
    dns: Host | None = None
    """Name whose every address is a proxy: a headless Service with `publishNotReadyAddresses: true`."""
    service: ServiceName | None = None
    """`NAMESPACE/NAME` of a Service whose EndpointSlices have every proxy, Ready or not. It takes a right to list
    `endpointslices`: deploy/fleet/service-gate.yaml."""
    addresses: tuple[Address, ...] = Field((), max_length=200)
    """The proxies themselves, as `address:port`, where nothing has them all."""
    port: Port = 8090
    """Port of JSON-RPC, with `dns` and `service`."""
    path: str = Field("/RPC", pattern=r"^/[A-Za-z0-9._~/-]*$", max_length=200)
    """Path of JSON-RPC."""
    tls: Tls | None = None
    """TLS, with a name that the certificates of all proxies have; without it JSON-RPC is plain HTTP."""
    login: Login | None = None
    """User and password of HTTP basic authentication, where the proxy asks for them."""
    sets: tuple[SetNumber, ...] = Field((), max_length=10_000)
    """The dispatcher sets that pods are in. Without it every set counts; name them where other sets hold host names."""
    sip_port: Port | None = None
    """Port of the pods' URIs in the dispatcher's list, where pods share a node's address (hostNetwork). Without it
    every URI with a pod's address is the pod, whatever its port."""
    timeout_seconds: float = Field(2.0, gt=0, lt=4)
    """How long the proxies may take to be found and to answer."""

    @model_validator(mode="after")
    def _finds_them_one_way(self) -> Self:
        if [self.dns is None, self.service is None, not self.addresses].count(False) != 1:
            raise ValueError("name one of dns, service and addresses")
        return self


class ServiceSettings(SettingsModel):
    """Services of Kubernetes that lead to the pods; see deploy/fleet/service-gate.yaml."""

    type: Literal["service"]
    """`service`."""
    services: tuple[Name, ...] = Field(min_length=1, max_length=20)
    """Every Service by which new calls reach the pods, each in the namespace of the pods."""
    label: LabelKey = "calltide.io/gate"
    """Label that the selectors of these Services have, and the pod template, with `openValue`. It must not be in the
    selector of the workload."""
    open_value: LabelValue = "open"
    """Its value on pods that take new calls."""
    closed_value: LabelValue = "shut"
    """Its value on those that do not."""
    settle_seconds: float = Field(10.0, ge=1, le=600)
    """How long every kube-proxy may take to follow the EndpointSlices: nobody acknowledges that."""
    timeout_seconds: float = Field(2.0, gt=0, lt=2.5)
    """How long the API server may take for each of two answers."""

    @model_validator(mode="after")
    def _label_has_two_values(self) -> Self:
        if self.open_value == self.closed_value:
            raise ValueError("openValue and closedValue are the same; give the label two values")
        return self


AnyFrontGate = Annotated[KamailioSettings | ServiceSettings, Field(discriminator="type")]
