"""One YAML document of the policy directory, before inheritance.

Its `spec` stays a tree of nodes until everything it inherits has been merged in; only then can it be judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from scaler.policy.fields import FieldsError, Name, PolicyModel, Tenant, Tenants, is_kubernetes_name
from scaler.policy.words import shown


def _fleet_key(key: str) -> str:
    if key.count("/") != 1 or not all(is_kubernetes_name(part) for part in key.split("/")):
        remedy = f"; write 'default/{key}'" if is_kubernetes_name(key) else "; write it like 'default/acme'"
        raise ValueError(f"{shown(key)} is not 'namespace/name'{remedy}")
    return key


class PolicyMetadata(PolicyModel):
    """Who the document is."""

    name: Name = Field(examples=["office"])
    """Name that a trigger's `policy` refers to, unique over the directory."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """Free labels; calltide does not read them."""
    annotations: Mapping[str, str] = Field(default_factory=dict)
    """Free annotations; calltide does not read them."""


class ListedFleet(PolicyModel):
    """A fleet that no ScaledObject points to: watched in `observe`, and the simulated fleets of the demo."""

    namespace: Name = "default"
    """Namespace of the ScaledObject that would point here, or of the workload."""
    name: Name = Field(examples=["acme"])
    """Name of the ScaledObject that would point here, or of the workload."""
    tenants: Tenants = Field(examples=["[acme]"])
    """Tenants whose calls the fleet serves."""

    @property
    def key(self) -> str:
        """The fleet as overrides name it: `namespace/name`."""
        return f"{self.namespace}/{self.name}"


class Override(PolicyModel):
    """Fields that differ for one fleet or one tenant."""

    fleet: Annotated[str, AfterValidator(_fleet_key)] | None = Field(None, examples=["default/acme"])
    """`namespace/name` of the fleet. It wins over an override for the tenant."""
    tenant: Tenant | None = Field(None, examples=["acme"])
    """Name of the tenant (fleets that serve this tenant alone)."""
    spec: Mapping[str, Any]
    """Any fields of the policy; what is left out is inherited."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.fleet is None) == (self.tenant is None):
            raise FieldsError("name either a fleet or a tenant, and not both", "fleet", "tenant")
        return self

    @property
    def target(self) -> str:
        """Whom it is for, in words."""
        return f"fleet {self.fleet}" if self.fleet is not None else f"tenant {shown(self.tenant)}"


class PolicyDocument(PolicyModel):
    """One YAML document of the policy directory, before inheritance."""

    api_version: Literal["calltide.io/v1"] = Field(examples=["calltide.io/v1"])
    """Always `calltide.io/v1`."""
    kind: Literal["Policy"] = Field(examples=["Policy"])
    """Always `Policy`."""
    metadata: PolicyMetadata
    """The policy's name."""
    extends: Name | None = Field(None, examples=["office"])
    """Another policy whose spec this one inherits; without it the built-in defaults."""
    spec: Mapping[str, Any] = Field(default_factory=dict)
    """Any fields of the policy; what is left out is inherited. Mappings merge, lists and scalars replace."""
    pools: Mapping[Name, Tenants] = Field(default_factory=dict)
    """Named groups of tenants that share a fleet; a trigger refers to one by `pool`."""
    fleets: tuple[ListedFleet, ...] = ()
    """Fleets that no ScaledObject points to."""
    overrides: tuple[Override, ...] = Field((), max_length=10_000)
    """Fields that differ for one fleet or tenant."""
