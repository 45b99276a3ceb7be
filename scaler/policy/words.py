"""How errors quote what they found, and how they guess what was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_QUOTE = 60
# Matching is quadratic in the length of a word, and no name that we know is nearly as long.
_LONGEST_WORD = 80


def shown(value: object) -> str:
    """The value as a reader recognises it, on one line and never long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value[: _LONGEST_QUOTE + 1] if isinstance(value, str) else value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"


def did_you_mean(word: object, known: Iterable[str], *, list_up_to: int = 20) -> str:
    """A sentence with the nearest known name, or with the names that there are; begins with a space, may be empty."""
    names = sorted(set(known))
    # Case first: difflib counts 'us' and 'US' as nothing alike.
    by_folded = {name.casefold(): name for name in names}
    folded = str(word)[:_LONGEST_WORD].casefold()
    near = get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {by_folded[near[0]]!r}?"
    if names and len(names) <= list_up_to:
        return f" Known: {', '.join(names)}."
    return ""
