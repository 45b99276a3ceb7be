"""What was read, kept in Parquet, so that a restart or a dead source costs nothing.

A dataset is one query of one source on one step. Its days lie in immutable segment files that are only ever added,
merged or dropped whole, so that no crash can leave half of one; docs/archive.md has the layout.
"""

from forecasting.archive.archive import Archive, Problem, Snapshot
from forecasting.archive.coverage import Coverage, Span
from forecasting.archive.keys import DatasetKey

__all__ = ["Archive", "Coverage", "DatasetKey", "Problem", "Snapshot", "Span"]
