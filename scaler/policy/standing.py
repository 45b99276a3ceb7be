"""Which spec sizes each fleet now, and which one waits to be confirmed.

A policy's file may change a hundred fleets in one step. Where a change moves a fleet's need far, the old spec goes on
until a person has confirmed the new one, so the old one must outlive its file, and the process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from scaler.policy.fields import PolicyModel
from scaler.policy.kept import DamagedFileError, read_json
from scaler.policy.model import PolicySpec

FILE_NAME = "fleets.json"


@dataclass(frozen=True, slots=True)
class Change:
    """A field that differs, as YAML would have it: durations are text, a list is one value."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field}: {written(self.old)} → {written(self.new)}"


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that waits for confirmation. `moved_share` is how far it moves the fleet's need, as a share."""

    fleet: str
    policy: str
    old: PolicySpec
    new: PolicySpec
    since_s: float
    moved_share: float

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that differ, by their dotted names."""
        return differences(self.old, self.new)

    @property
    def digest(self) -> str:
        """Stands for exactly this change's new spec, so that a later change is never confirmed by mistake."""
        return digest_of(self.new)

    def is_meant_by(self, target: str | None) -> bool:
        """Whether a fleet's key, a fleet's bare name or a policy's name means this change; None means every one."""
        return target is None or target in (self.fleet, self.policy) or f"default/{target}" == self.fleet


@dataclass(frozen=True, slots=True)
class Standing:
    """One fleet: its policy's name, the spec in force, and what waits."""

    policy: str
    spec: PolicySpec
    pending: Pending | None = None


def digest_of(spec: PolicySpec) -> str:
    """SHA-256 of a spec, hexadecimal."""
    return hashlib.sha256(spec.model_dump_json(by_alias=True).encode()).hexdigest()


def differences(old: PolicySpec, new: PolicySpec) -> tuple[Change, ...]:
    """The fields that differ between two specs, in the order of their names."""
    before, after = flat(old), flat(new)
    names = sorted(before.keys() | after.keys())
    # A section that is null on one side has no fields there.
    return tuple(
        Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


def flat(spec: PolicySpec) -> Mapping[str, Any]:
    """Every field of a spec by its dotted name, with its value as JSON has it. A list is one value."""
    return dict(_flat(spec.model_dump(mode="json", by_alias=True), ""))


def _flat(section: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def written(value: Any) -> str:
    """A value on one line; control characters in it are escaped."""
    return json.dumps(value, ensure_ascii=False)


class _KeptPending(PolicyModel):
    spec: str
    since_s: float
    moved_share: float


class _KeptStanding(PolicyModel):
    policy: str
    spec: str
    pending: _KeptPending | None = None


class _KeptFleets(PolicyModel):
    """Fleets refer to specs by digest: thousands of them share a few."""

    specs: Annotated[dict[str, PolicySpec], Field(max_length=100_000)]
    fleets: dict[str, _KeptStanding]


def to_json(standings: Mapping[str, Standing]) -> Any:
    """What is kept of all fleets."""
    specs: dict[str, PolicySpec] = {}
    digests: dict[int, str] = {}

    def digest(spec: PolicySpec) -> str:
        # Fleets of one policy share the object, so most need no hashing.
        if id(spec) not in digests:
            digests[id(spec)] = digest_of(spec)
            specs[digests[id(spec)]] = spec
        return digests[id(spec)]

    fleets = {}
    for fleet, standing in standings.items():
        waits = standing.pending
        kept = waits and {"spec": digest(waits.new), "sinceS": waits.since_s, "movedShare": waits.moved_share}
        fleets[fleet] = {"policy": standing.policy, "spec": digest(standing.spec), "pending": kept}
    dumped = {name: spec.model_dump(mode="json", by_alias=True) for name, spec in specs.items()}
    return {"specs": dumped, "fleets": fleets}


def read_standings(directory: Path) -> dict[str, Standing]:
    """What was kept of all fleets; nothing when there is no file.

    Raises:
        DamagedFileError: the file cannot be understood.
        StateError: it cannot be read.
    """
    content = read_json(directory / FILE_NAME)
    if content is None:
        return {}
    try:
        return standings_of(content)
    except ValueError as error:
        raise DamagedFileError(directory / FILE_NAME, error) from None


def standings_of(content: Any) -> dict[str, Standing]:
    """What `to_json` made of all fleets.

    Raises:
        ValueError: it cannot be understood.
    """
    try:
        kept = _KeptFleets.model_validate(content)
        return {fleet: _from_kept(fleet, standing, kept.specs) for fleet, standing in kept.fleets.items()}
    except (ValidationError, KeyError) as error:
        raise ValueError(f"what is in force for the fleets cannot be read: {error}") from error


def _from_kept(fleet: str, kept: _KeptStanding, specs: Mapping[str, PolicySpec]) -> Standing:
    spec, waits = specs[kept.spec], kept.pending
    if waits is None:
        return Standing(kept.policy, spec)
    pending = Pending(fleet, kept.policy, spec, specs[waits.spec], waits.since_s, waits.moved_share)
    return Standing(kept.policy, spec, pending)
