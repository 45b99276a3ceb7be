"""What the command's exit code means. The table in the docs is made from here."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `calltide`. 2 is what the option parser itself uses for a wrong option."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID = 3
    UNREACHABLE = 4
    NOT_FOUND = 5

    @property
    def meaning(self) -> str:
        """One sentence for the docs."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "Done. A forecast or an outlook that is `cold`, with too little history for a path, ends so as well.",
    ExitCode.FAILED: (
        "Something failed that is not the input's fault, or the doctor found what can cut calls; the message says what."
    ),
    ExitCode.USAGE: "An option or argument is wrong; the message names it.",
    ExitCode.INVALID: "A policy, configuration or history file is wrong; the message says where and how to mend it.",
    ExitCode.UNREACHABLE: "A service that the command needs did not answer.",
    ExitCode.NOT_FOUND: "There is no fleet, pod, policy or tenant of that name; near names are shown.",
}
