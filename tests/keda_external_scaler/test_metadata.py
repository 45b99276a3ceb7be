"""A trigger's metadata: what is understood, and what each fault is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keda_external_scaler.errors import MetadataError
from keda_external_scaler.metadata import (
    LONGEST_NAME,
    LONGEST_TENANT,
    MOST_TENANTS,
    OWN_KEYS,
    TriggerReference,
    parse_trigger_metadata,
)

POLICY = {"policy": "standard"}


@pytest.mark.parametrize(
    ("metadata", "reference"),
    [
        ({"tenant": "acme"}, TriggerReference("standard", ("acme",), None)),
        ({"tenants": "acme, globex,acme"}, TriggerReference("standard", ("acme", "globex"), None)),
        ({"pool": "small-offices"}, TriggerReference("standard", (), "small-offices")),
        ({"tenant": "Škoda 日本 ☎"}, TriggerReference("standard", ("Škoda 日本 ☎",), None)),
        ({"tenant": "t" * LONGEST_TENANT}, TriggerReference("standard", ("t" * LONGEST_TENANT,), None)),
        ({"pool": "p" * LONGEST_NAME}, TriggerReference("standard", (), "p" * LONGEST_NAME)),
        ({"tenantFromEnv": "acme"}, TriggerReference("standard", ("acme",), None)),
        (
            {
                "tenant": "acme",
                "scalerAddress": "calltide:9090",
                "enableTLS": "true",
                "unsafeSsl": "false",
                "caCert": "…",
                "tlsClientCertFromEnv": "…",
                "tlsClientKey": "…",
                "tlsCertFile": "/certs/ca.crt",
            },
            TriggerReference("standard", ("acme",), None),
        ),
    ],
)
def test_what_a_trigger_says_is_understood(metadata, reference):
    assert parse_trigger_metadata(POLICY | metadata) == reference


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"tenant": "acme"}, "metadata.policy is missing; name a policy"),
        (POLICY, "exactly one of tenant, tenants and pool, to say whose calls the fleet serves; found none of them"),
        (POLICY | {"tenant": "a", "pool": "b"}, "found metadata.tenant and metadata.pool"),
        (POLICY | {"tennant": "acme"}, "metadata.'tennant' is not a key of calltide; did you mean tenant?"),
        (POLICY | {"tenant": "a", "scalerAdress": "x"}, "did you mean scalerAddress?"),
        (POLICY | {"tenant": "a", "zzz": "x"}, "known keys: policy, tenant, tenants, pool"),
        (POLICY | {"tenant": "a", "polcyFromEnv": "x"}, "did you mean policy?"),
        (POLICY | {"policyFromEnv": "x", "tenant": "a"}, "metadata.policy and metadata.policyFromEnv say the same"),
        ({"policy": "Standard", "tenant": "a"}, "metadata.policy: 'Standard' is not a name; use lower-case letters"),
        ({"policy": "p" * 64, "tenant": "a"}, "at most 63"),
        (POLICY | {"pool": "a/b"}, "metadata.pool: 'a/b' is not a name"),
        (POLICY | {"tenant": " "}, "metadata.tenant: a tenant's name is empty"),
        (POLICY | {"tenants": "a,,b"}, "metadata.tenants: a tenant's name is empty"),
        (POLICY | {"tenant": "a,b"}, "use tenants for several tenants"),
        (POLICY | {"tenant": "t" * 257}, "use at most 256 characters"),
        (POLICY | {"tenant": "a\nb"}, "no control characters"),
        (POLICY | {"tenants": ",".join(map(str, range(MOST_TENANTS + 1)))}, "1001 tenants are more than 1000"),
        ({f"key{n}": "" for n in range(65)}, "65 keys are too many"),
    ],
)
def test_a_fault_names_the_field_and_the_remedy(metadata, told):
    with pytest.raises(MetadataError) as refused:
        parse_trigger_metadata(metadata)
    assert told in str(refused.value)


def understood(metadata: dict[str, str]) -> tuple[TriggerReference | None, str]:
    """What the metadata say, or the fault."""
    try:
        return parse_trigger_metadata(metadata), ""
    except MetadataError as error:
        return None, str(error)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
keys = st.one_of(st.sampled_from([*OWN_KEYS, "policyFromEnv", "scalerAddress", "FromEnv", ""]), text)
values = st.one_of(st.sampled_from(["standard", "acme", "a,b"]), text)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(metadata=st.dictionaries(keys, values, max_size=8))
def test_whatever_is_written_is_understood_or_refused_in_a_short_line(metadata):
    reference, fault = understood(metadata)
    if reference is not None:
        assert (reference.pool is None) == bool(reference.tenants)
    else:
        assert fault.startswith("metadata")
        assert fault.isprintable()
        assert len(fault) < 1000
