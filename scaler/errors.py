"""Every error that calltide itself raises outside its two leaf rooms."""

from __future__ import annotations

from dataclasses import dataclass


class CalltideError(Exception):
    """Base of all errors of this room. The text says what is wrong, where, and how to mend it."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a file that a person wrote.

    `line` counts from 1; 0 means a directory, or a file that cannot be read at all. `field` is dotted and spelt as
    in the file, empty when the fault is no single field's. `message` says what is wrong and how to mend it.
    """

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.message) if part)


class PolicyError(CalltideError):
    """One or more policy documents cannot be used. What was in force stays in force.

    `problems` holds every fault of the files; it is empty when the error is about a question, not about a file.
    """

    def __init__(self, *reasons: Problem | str) -> None:
        super().__init__(*reasons)
        self.problems = tuple(reason for reason in reasons if isinstance(reason, Problem))

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


class ConfigurationError(CalltideError):
    """The service's own configuration cannot be used."""


class StateError(CalltideError):
    """A file of the state directory cannot be written."""


class FleetError(CalltideError):
    """The fleets cannot be observed now. What was seen last stays, with its age."""


class CapacityError(CalltideError, ValueError):
    """A load, a grade of service or a pod's capacity that cannot size a fleet."""
