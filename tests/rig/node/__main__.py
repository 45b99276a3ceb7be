"""Start the node agent: `python -m tests.rig.node --settings FILE`."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from tests.rig.node.agent import run
from tests.rig.node.settings import AgentSettings

parser = argparse.ArgumentParser(prog="python -m tests.rig.node", description="The rig's node agent.")
parser.add_argument("--settings", type=Path, required=True, help="file written by AgentSettings.to_json")
logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
# Every request would be a line.
logging.getLogger("httpx").setLevel(logging.WARNING)
asyncio.run(run(AgentSettings.from_json(parser.parse_args().settings.read_text(encoding="utf-8"))))
