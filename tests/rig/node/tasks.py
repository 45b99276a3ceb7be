"""Background tasks that do not fail in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


def supervised(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run it beside the others; an error that nobody expected is in the log."""
    task = asyncio.create_task(work)
    task.add_done_callback(_report_failure)
    return task


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("a task of the node agent failed", exc_info=task.exception())
