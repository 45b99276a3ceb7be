"""Every error that calltide itself raises outside its two leaf rooms."""

from __future__ import annotations


class CalltideError(Exception):
    """Base of all errors of this room. The text says what is wrong, where, and how to mend it."""


class PolicyError(CalltideError):
    """One or more policy documents cannot be used. What was in force stays in force."""


class ConfigurationError(CalltideError):
    """The service's own configuration cannot be used."""


class StateError(CalltideError):
    """A file of the state directory cannot be written."""


class FleetError(CalltideError):
    """The fleets cannot be observed now. What was seen last stays, with its age."""


class CapacityError(CalltideError, ValueError):
    """A load, a grade of service or a pod's capacity that cannot size a fleet."""
