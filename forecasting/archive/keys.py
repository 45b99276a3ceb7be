"""Which history a dataset holds, and the folder it lies in.

What changes the numbers is in the key: another query, step, completeness rule or count of refused calls begins a new
dataset instead of mixing with the old one. The look-back is not: a longer one is only more of the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Self

from forecasting.errors import ForecastInputError
from forecasting.load import Measure
from forecasting.sources.protocol import HistoryQuery

DAY_S = 86400
"""A segment never crosses a UTC day."""

_READABLE_LENGTH = 40


@dataclass(frozen=True, slots=True)
class DatasetKey:
    """One query of one source on one step.

    `source` is the name of the source in the service's configuration (any characters), `query` a fingerprint of the
    query from `of`, so that no expression and nothing that may be secret in one reaches a file name.

    Raises:
        ForecastInputError: the step does not divide a day.
    """

    source: str
    measure: Measure
    step_s: int
    query: str

    def __post_init__(self) -> None:
        if self.step_s <= 0 or DAY_S % self.step_s:
            raise ForecastInputError(f"step_s is {self.step_s}, it must divide a day of {DAY_S} s")

    @classmethod
    def of(cls, source: str, query: HistoryQuery, step_s: int) -> Self:
        """The key of what this source answers to this query."""
        says: list[object] = [
            query.expression,
            query.tenant_label,
            query.completeness,
            query.minimum_completeness,
            query.statistic,
        ]
        if query.refused is not None:
            # Only then: carried load that was archived before there was such a part keeps its key.
            says.append(asdict(query.refused))
        return cls(source, query.measure, step_s, hashlib.sha256(json.dumps(says).encode()).hexdigest()[:16])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is not a key.
        """
        try:
            fields = json.loads(text)
            return cls(str(fields["source"]), Measure(fields["measure"]), int(fields["step_s"]), str(fields["query"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a dataset key: {error!r}") from error

    def to_json(self) -> str:
        """One line of JSON, the same for equal keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def folder(self) -> str:
        """A folder name that is safe on every file system and object store, and differs between keys.

        The beginning is for people, the hash for certainty: two sources may differ only in characters that a file
        name cannot hold or that a file system does not tell apart.
        """
        readable = re.sub(r"[^a-z0-9]+", "-", self.source.lower())[:_READABLE_LENGTH].strip("-") or "source"
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()[:16]
        return f"{readable}-{self.measure.value}-{self.step_s}s-{digest}"
