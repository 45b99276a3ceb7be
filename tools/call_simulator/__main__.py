"""`python -m tools.call_simulator [--calls N] [--without CLOSING|all] [--rivals]`: count what happens to every call.

Ends with 1 when a call is cut with all closings in force, or when leaving a closing out shows nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from tools.call_simulator import tables
from tools.call_simulator.calls import calls_of
from tools.call_simulator.conditions import Faults, Setting
from tools.call_simulator.fleet import run
from tools.call_simulator.mix import fleets, rival_tenants
from tools.call_simulator.rivals import CRON, STOCK, run_rival
from tools.call_simulator.tables import LeftOut
from tools.call_simulator.tally import Tally
from tools.call_simulator.without import WITHOUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was asked for and say whether all is as it should be."""
    names = sorted(case.closing.value for case in WITHOUT)
    parser = argparse.ArgumentParser(prog="python -m tools.call_simulator", description=__doc__)
    parser.add_argument("--calls", type=_count, default=1_000_000, help="at least so many calls (default: a million)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same calls and the same faults")
    parser.add_argument("--without", choices=("all", *names), metavar="CLOSING", help="leave one closing out, or each")
    parser.add_argument("--rivals", action="store_true", help="give the same calls to two other ways to scale in")
    parser.add_argument("--markdown", action="store_true", help="print tables for the documentation")
    asked = parser.parse_args(arguments)
    if asked.without:
        return _without(asked.without, asked.seed, markdown=asked.markdown)
    if asked.rivals:
        return _rivals(asked.calls, asked.seed, markdown=asked.markdown)
    return _all_closings(asked.calls, asked.seed, markdown=asked.markdown)


def _count(text: str) -> int:
    count = int(text.replace("_", "").replace(",", ""))
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1 call")
    return count


def _all_closings(calls: int, seed: int, *, markdown: bool) -> int:
    total, count, began_s = Tally(), 0, time.process_time()
    for count, setting in enumerate(fleets(seed), 1):
        total += run(setting, seed * 10_000 + count)
        if total.offered >= calls:
            break
    print(tables.of_run(total, count, time.process_time() - began_s, markdown=markdown))
    return 1 if total.cut or total.recordings_lost or total.broken else 0


def _without(name: str, seed: int, *, markdown: bool) -> int:
    cases = [case for case in WITHOUT if name in ("all", case.closing.value)]
    results = [
        LeftOut(case, case.tally(seed * 100, left_out=True), case.tally(seed * 100, left_out=False)) for case in cases
    ]
    print(tables.of_closings(results, markdown=markdown))
    silent = [result.case.closing.value for result in results if not result.shown]
    if silent:
        print(f"Not shown to guard anything here: {', '.join(silent)}.", file=sys.stderr)
    return 1 if silent else 0


def _rivals(calls: int, seed: int, *, markdown: bool) -> int:
    stock, cron, calltide = Tally(), Tally(), Tally()
    for number, tenant in enumerate(rival_tenants(seed)):
        drawn = calls_of(tenant, np.random.default_rng(seed * 10_000 + number))
        stock += run_rival(STOCK, tenant, drawn, number)
        cron += run_rival(CRON, tenant, drawn, number)
        calltide += run(Setting(tenant, Faults(), max_at_once=max(1, tenant.pods // 10)), number, drawn)
        if calltide.offered >= calls:
            break
    rows = [(STOCK.name, stock), (CRON.name, cron), ("calltide", calltide)]
    print(tables.of_rivals(rows, markdown=markdown))
    return 1 if calltide.cut else 0


if __name__ == "__main__":
    sys.exit(main())
