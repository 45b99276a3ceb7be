"""What a real Asterisk answered (tests/captures/asterisk), in the pieces that a made-up one answers with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).parents[3] / "captures" / "asterisk"


def ari(name: str) -> Any:
    """The JSON of a captured ARI answer."""
    _, _, body = text(name).partition("\n\n")
    return json.loads(body)


def ari_after_a_message() -> Any:
    """/ari/channels of a PBX that has seen one SIP MESSAGE."""
    (line,) = re.findall(r"after 4 .*\nGET /ari/channels: (.*)", text("07-sip-message-keeps-a-channel.txt"))
    return json.loads(line)


def ami(name: str) -> list[str]:
    """The messages of a captured AMI conversation, without their ActionIDs and what stands between them."""
    lines = [line for line in text(name).splitlines() if not line.startswith(("==", "ActionID:", "Asterisk Call"))]
    return [block.strip("\n") for block in re.split(r"\n{2,}", "\n".join(lines)) if block.strip("\n")]


def ami_list(name: str, opening: str) -> list[str]:
    """The messages of one list, from the response whose text begins so to the event that ends it."""
    messages = ami(name)
    first = next(number for number, one in enumerate(messages) if f"Message: {opening}" in one)
    last = next(number for number, one in enumerate(messages) if number > first and "EventList: Complete" in one)
    return messages[first : last + 1]


def ami_after_a_message() -> list[str]:
    """CoreShowChannels of a PBX that has seen one SIP MESSAGE."""
    _, _, rest = text("07-sip-message-keeps-a-channel.txt").partition("AMI CoreShowChannels: ")
    return rest.partition("\n\n\n")[0].split("\n\n")


def text(name: str) -> str:
    """A captured file, with plain line ends."""
    return (CAPTURES / name).read_text(encoding="utf-8").replace("\r\n", "\n")
