"""What is promised, each in the words of its breach."""

from __future__ import annotations

from enum import StrEnum


class Promise(StrEnum):
    """One invariant. A step that breaks it says so with this text."""

    CUT = "a call is cut"
    """No deletion, by whomever, ends a pod with a channel, a call let in or a recording."""
    FOREIGN_DELETE = "calltide deletes a pod that is not released"
    NOT_EMPTY = "a pod is released that is not empty behind a shut gate"
    """Judged by what is true when the release is written, not by what was read."""
    NOT_DRAINED = "a pod is released that is not drained"
    NOT_DEAD = "a pod of a live node is released as dead"
    CAME_BACK = "a released pod came back"
    NEEDED = "a pod that is needed is turned away from or released"
    """Judged by the pods that serve and the need, when it is decided."""
    NEED_UNKNOWN = "a pod is released while the need is not known"
    WAY_UP = "a pod is released while no new one could come"
    FREEZE = "a pod is retired in a freeze"
    TARGET_TOO_LOW = "the target falls below what stands or is needed"
    TAIL = "the StatefulSet is asked to take a pod that is not released"
    LATE_TARGET = "a late write undoes what the HPA raised"
    FOREIGN_TARGET = "another than calltide lowers the target"
    TARGET_TOO_HIGH = "the HPA raises the target beyond the answer"
    NO_REST = "a fair run does not come to rest"
    """When nothing more goes wrong, every drain ends and as many pods serve as are needed."""
