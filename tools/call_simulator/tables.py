"""The simulator's figures as tables: Markdown for the documentation, columns for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.call_simulator.tally import Tally
from tools.call_simulator.without import Without

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What became of the same fleets without a closing, and with it."""

    case: Without
    without: Tally
    within: Tally

    @property
    def shown(self) -> bool:
        """Whether its absence is seen, and the closing alone keeps it from being seen."""
        seen = self.without.figure(self.case.shows)
        kept = self.within.figure(self.case.shows)
        return seen > 0 and kept == 0 and self.within.cut == 0


def table(head: Sequence[str], rows: Rows, *, markdown: bool) -> str:
    """A table. The first column is text, the others are as wide as they need to be."""
    if markdown:
        rule = ["---", *["---:"] * (len(head) - 1)]
        return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )


def of_run(tally: Tally, fleets: int, cpu_s: float, *, markdown: bool) -> str:
    """All closings in force."""
    struck = ", ".join(f"{name} {count:,}" for name, count in tally.faults.most_common())
    rows = [
        ("fleets", f"{fleets:,}"),
        ("calls offered", f"{tally.offered:,}"),
        ("cut by scaling", f"{tally.cut:,}"),
        ("recordings lost by scaling", f"{tally.recordings_lost:,}"),
        ("crashed with their PBX", f"{tally.crashed:,}"),
        ("refused for want of a pod", f"{tally.refused:,}"),
        ("promises broken", ", ".join(f"{name} {count:,}" for name, count in tally.broken.items()) or "none"),
        ("drains, recalls, pods gone", f"{tally.drains:,}, {tally.recalls:,}, {tally.pods_gone:,}"),
        ("deletions and evictions refused", f"{tally.refused_deletes:,}"),
        ("steps of the production function", f"{tally.rounds:,}"),
        ("pod-hours", f"{tally.pod_s / 3600:,.0f}"),
        ("faults", struck),
        ("CPU seconds", f"{cpu_s:,.0f}"),
    ]
    return table(("all closings in force", ""), rows, markdown=markdown)


def of_closings(results: Sequence[LeftOut], *, markdown: bool) -> str:
    """What each closing keeps from happening."""
    rows = []
    for result in results:
        name = " and ".join((result.case.closing.value, *(one.value for one in result.case.also)))
        shows = "" if result.case.shows == "cut" else result.case.shows.replace("_", " ")
        seen, kept = result.without.figure(result.case.shows), result.within.figure(result.case.shows)
        other = f"{shows}: {seen:,} (with it {kept:,})" if shows else ""
        refused = f"{result.without.refused:,} ({result.within.refused:,})"
        rows.append(
            (name, f"{result.within.offered:,}", f"{result.without.cut:,}", f"{result.within.cut:,}", refused, other)
        )
    head = ("without", "calls", "cut", "cut with it", "refused (with it)", "what else breaks")
    return table(head, rows, markdown=markdown)


def of_rivals(results: Sequence[tuple[str, Tally]], *, markdown: bool) -> str:
    """Ways to scale in, on the same calls."""
    head = (
        "",
        "offered",
        "refused",
        "cut",
        "pods gone",
        "recalled",
        "pod-hours",
        "pod-minutes too few",
        "minutes until enough",
    )
    rows = [
        (
            name,
            f"{tally.offered:,}",
            f"{tally.refused:,}",
            f"{tally.cut:,}",
            f"{tally.pods_gone:,}",
            f"{tally.recalls:,}",
            f"{tally.pod_s / 3600:,.0f}",
            f"{tally.below_need_s / 60:,.0f}",
            f"{tally.back_mean_s / 60:.1f}",
        )
        for name, tally in results
    ]
    return table(head, rows, markdown=markdown)
