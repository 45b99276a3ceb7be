"""`python -m tools.model_check [--deep]`: walk the worlds, leave each closing out once, print two tables.

Ends with 1 when a promise breaks with all closings in force, or when nothing breaks without one of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from multiprocessing import get_context

from tools.model_check.promises import Promise
from tools.model_check.scenarios import Scenario, deep, quick
from tools.model_check.search import Found
from tools.model_check.walks import MOST_STATES_DEEP, MOST_STATES_QUICK, Pair, Timed, leave_out, walk
from tools.model_check.without import WITHOUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and say whether all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tools.model_check", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="more pods, calls and faults: hours and many gigabytes")
    parser.add_argument("--processes", type=int, default=2, help="how many worlds are walked side by side")
    parser.add_argument("--traces", action="store_true", help="print each way to a broken promise")
    asked = parser.parse_args(arguments)
    worlds = deep() if asked.deep else quick()
    most = MOST_STATES_DEEP if asked.deep else MOST_STATES_QUICK
    with get_context("spawn").Pool(asked.processes, maxtasksperchild=1) as pool:
        walked = pool.starmap_async(walk, [(world, most) for world in worlds], chunksize=1)
        left_out = pool.map_async(leave_out, WITHOUT, chunksize=1)
        in_worlds, without = walked.get(), left_out.get()
    held = _print_worlds(worlds, in_worlds)
    _print_promises(in_worlds, without)
    shown = _print_closings(without, traces=asked.traces)
    return 0 if held and shown else 1


def _print_worlds(worlds: Sequence[Scenario], results: Sequence[Timed]) -> bool:
    print("| world | pods | calls | faults | states | steps | every state seen | fair runs | CPU s | broken |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |")
    for world, (found, cpu_s) in zip(worlds, results, strict=True):
        complete = "yes" if found.complete else "no"
        print(
            f"| {world.name} | {len(world.pods)} | {world.calls} | {world.budget} | {found.states:,} | {found.steps:,} "
            f"| {complete} | {found.rested:,} | {cpu_s:.0f} | {found.broken or 'nothing'} |"
        )
        _print_trace(found)
    return not any(found.broken for found, _ in results)


def _print_promises(in_worlds: Sequence[Timed], without: Sequence[Pair]) -> None:
    """Each promise: how many states kept it with all closings in force, and which closings' absence broke it first."""
    states, rested = (
        sum(numbers) for numbers in zip(*((found.states, found.rested) for found, _ in in_worlds), strict=True)
    )
    print("\n| never | held in states | broken first without |\n| --- | ---: | --- |")
    for promise in Promise:
        broken = any(found.broken == promise for found, _ in in_worlds)
        breakers = [
            case.closing.value for case, (found, _) in zip(WITHOUT, without, strict=True) if found.broken == promise
        ]
        held = rested if promise is Promise.NO_REST else states
        print(f"| {promise} | {'BROKEN' if broken else f'{held:,}'} | {', '.join(breakers) or '–'} |")


def _print_closings(results: Sequence[Pair], *, traces: bool) -> bool:
    print("\n| without | world | events until it breaks | states | broken | with it, nothing breaks in |")
    print("| --- | --- | ---: | ---: | --- | ---: |")
    for without, (found, kept) in zip(WITHOUT, results, strict=True):
        name = " and ".join([without.closing, *without.also])
        broken = found.broken or "NOTHING: this closing guards nothing here"
        held = f"BROKEN: {kept.broken}" if kept.broken else f"{kept.states:,}{'' if kept.complete else ' and more'}"
        world = f"{without.scenario.name}, {without.scenario.budget} faults"
        print(f"| {name} | {world} | {len(found.trace)} | {found.states:,} | {broken} | {held} |")
        _print_trace(kept)
        if traces:
            _print_trace(found)
    return all(found.broken and not kept.broken for found, kept in results)


def _print_trace(found: Found) -> None:
    if found.broken:
        print("".join(f"\n    {number:3}. {event}" for number, event in enumerate(found.trace, 1)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
