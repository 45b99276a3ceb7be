"""Makes the n-th step of a write fail, so that every step is tried and none is left to luck."""

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

STEPS = ("write", "fsync", "replace", "rename", "unlink", "mkdir")


class CrashError(BaseException):
    """The process died here. From then on none of its steps happens any more, cleaning up included."""


class Fault:
    """Fails one step, counted from 0 over everything that the write does to the disk."""

    def __init__(self, step: int, error: BaseException) -> None:
        self.step = step
        self.error = error
        self.seen = -1

    @property
    def happened(self) -> bool:
        return self.seen >= self.step

    def around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.seen += 1
            if self.seen == self.step and name == "write":
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])  # as a disk that fills up
            if self.seen == self.step or (self.happened and isinstance(self.error, CrashError)):
                raise self.error
            return real(*arguments, **options)

        return call


@contextmanager
def failing(step: int, error: BaseException) -> Iterator[Fault]:
    """Every step that goes through `os` is counted, and one of them fails."""
    fault = Fault(step, error)
    with pytest.MonkeyPatch.context() as patched:
        for name in STEPS:
            patched.setattr(os, name, fault.around(name, getattr(os, name)))
        yield fault


def errors() -> tuple[BaseException, ...]:
    """A full disk, a broken one, and a death."""
    return OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "Input/output error"), CrashError()


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel itself cuts writes short: whatever a library writes with, it fails there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def recorded_syncs() -> Iterator[list[str]]:
    """In which order files and folders were made durable and files took their names."""
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def recorded_replace(*paths: Any, **options: Any) -> None:
        order.append("replace")
        replace(*paths, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", recorded_fsync)
        patched.setattr(os, "replace", recorded_replace)
        yield order
