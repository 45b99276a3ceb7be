"""A trigger's metadata: which policy sizes the fleet, and whose calls it serves.

The rules stand here once, for KEDA's calls and for whoever reads the same trigger from the cluster. A fault names
the field and what to write instead, because the text is what somebody finds in the events of a ScaledObject.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from keda_external_scaler.errors import MetadataError

OWN_KEYS = ("policy", "tenant", "tenants", "pool")
_GROUPING_KEYS = OWN_KEYS[1:]
# What KEDA reads itself and forwards all the same, and what its documentation puts here by mistake.
_KEDA_KEYS = frozenset(
    {"scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey", "tlsCertFile"}
)
# KEDA sends a key that ends so with the value already looked up in the container's environment, the key unchanged.
_FROM_ENV = "FromEnv"

LONGEST_NAME = 63
LONGEST_TENANT = 256
MOST_TENANTS = 1_000
MOST_KEYS = 64
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class TriggerReference:
    """What a trigger says: a policy, and either tenants or a pool."""

    policy: str
    tenants: tuple[str, ...]
    pool: str | None


def parse_trigger_metadata(metadata: Mapping[str, str]) -> TriggerReference:
    """Read a trigger's metadata, as it is written or as KEDA sends it.

    Raises:
        MetadataError: a field is missing, unknown, doubled or cannot be used; the text names it and the remedy.
    """
    if len(metadata) > MOST_KEYS:
        raise MetadataError(f"metadata: {len(metadata)} keys are too many; a trigger needs policy and a tenant or pool")
    given = _own_values(metadata)
    if "policy" not in given:
        raise MetadataError(
            "metadata.policy is missing; name a policy, like policy: standard. "
            f"If it is given as policy{_FROM_ENV}, the container has no such environment variable, or an empty one"
        )
    groupings = [key for key in _GROUPING_KEYS if key in given]
    if len(groupings) != 1:
        said = " and ".join(f"metadata.{key}" for key in groupings) or "none of them"
        raise MetadataError(
            f"metadata: give exactly one of tenant, tenants and pool, to say whose calls the fleet serves; found {said}"
        )
    policy = _name("policy", given["policy"])
    key = groupings[0]
    if key == "pool":
        return TriggerReference(policy, (), _name("pool", given["pool"]))
    texts = (given["tenant"],) if key == "tenant" else given["tenants"].split(",")
    if len(texts) > MOST_TENANTS:
        raise MetadataError(
            f"metadata.tenants: {len(texts)} tenants are more than {MOST_TENANTS}; name a pool of the policy instead"
        )
    # A tenant that is named twice is still one tenant.
    return TriggerReference(policy, tuple(dict.fromkeys(_tenant(key, text) for text in texts)), None)


def _own_values(metadata: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for key, value in metadata.items():
        plain = key.removesuffix(_FROM_ENV)
        if plain in _KEDA_KEYS:
            continue
        if plain not in OWN_KEYS:
            raise MetadataError(f"metadata.{_shown(key)} is not a key of calltide; {_nearest(plain)}")
        if plain in given:
            raise MetadataError(f"metadata.{plain} and metadata.{plain}{_FROM_ENV} say the same thing; keep one")
        given[plain] = value
    return given


def _nearest(key: str) -> str:
    known = (*OWN_KEYS, *sorted(_KEDA_KEYS))
    # Matching costs the product of the lengths, and a key may be of any length.
    near = difflib.get_close_matches(key[:LONGEST_NAME], known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(OWN_KEYS)}"


def _name(key: str, value: str) -> str:
    value = value.strip()
    if not _NAME.fullmatch(value) or len(value) > LONGEST_NAME:
        raise MetadataError(
            f"metadata.{key}: {_shown(value)} is not a name; "
            f"use lower-case letters, digits, '-' and '.', at most {LONGEST_NAME}"
        )
    return value


def _tenant(key: str, value: str) -> str:
    value = value.strip()
    if not value:
        raise MetadataError(f"metadata.{key}: a tenant's name is empty; write it like {key}: acme")
    if key == "tenant" and "," in value:
        raise MetadataError(f"metadata.tenant: {_shown(value)} has a comma; use tenants for several tenants")
    if len(value) > LONGEST_TENANT or not value.isprintable():
        raise MetadataError(
            f"metadata.{key}: {_shown(value)} is not a tenant's name; "
            f"use at most {LONGEST_TENANT} characters and no control characters"
        )
    return value


def _shown(text: str) -> str:
    """The text as an error may carry it: short, and on one line."""
    return repr(text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…")
