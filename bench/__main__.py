"""`python -m bench [NAME ...]`: run the benchmarks that need no path, or those that are named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from bench import archive, forecast_speed, ingest, keda, plan_speed

BENCHMARKS: Mapping[str, Callable[[Sequence[str]], object]] = {
    "keda": keda.main,
    "ingest": ingest.main,
    "archive": archive.main,
    "forecast": forecast_speed.main,
    "plan": plan_speed.main,
}


def main() -> int:
    """Run them one after the other, so that none disturbs another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which ones; all when left out")
    names = parser.parse_args().names or list(BENCHMARKS)
    for name in names:
        Console().rule(name)
        BENCHMARKS[name]([])
    return 0


if __name__ == "__main__":
    sys.exit(main())
