"""Write, or with --check compare, every page and schema that is made from code.

Each entry of `PAGES` is a file and the function that makes its text, so that what the repository shows can never
differ from what the code does: `make check` fails when one is out of date and names the target that mends it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scaler.cli.exit_codes import ExitCode
from scaler.policy.reference import reference_page
from scaler.policy.schema import schema
from tools.metrics_page import metrics_page

ROOT = Path(__file__).resolve().parent.parent


def exit_codes_page() -> str:
    """The table of exit codes."""
    rows = "\n".join(f"| {code.value} | {code.name} | {code.meaning} |" for code in ExitCode)
    return f"# Exit codes of `calltide`\n\n| code | name | meaning |\n| --- | --- | --- |\n{rows}\n"


def policy_schema() -> str:
    """The JSON Schema of policies."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/exit-codes.md": exit_codes_page,
    "docs/metrics.md": metrics_page,
    "docs/policy-reference.md": reference_page,
    "docs/policy.schema.json": policy_schema,
}


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 when a page is out of date")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stderr.write(f"{name} is not what the code makes now: run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
