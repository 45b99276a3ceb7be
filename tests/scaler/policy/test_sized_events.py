"""What a policy may say of the size of an event, what the forecast makes of it, and what cannot be meant."""

from __future__ import annotations

from datetime import date

import pytest

from forecasting.calendar import SizedEvent
from scaler.service.datasets import civil_calendar
from tests.scaler.policy.writing import COMPLETE, book, only, policy

DAY = date(2026, 11, 27)


def having(*events: str, closures: str = "") -> str:
    listed = "".join(f"      - {event}\n" for event in events)
    return policy("a", COMPLETE + f"  calendar:\n    events:\n{listed}{closures}")


def calendar_of(text: str):
    return civil_calendar(book(text).resolve("a", fleet="voice/all", tenants=("acme",)).calendar)


def event(effect: str, more: str = "") -> str:
    return f"{{name: Sale, from: 2026-11-27{more}, effect: {effect}}}"


@pytest.mark.parametrize(("effect", "factor"), [("+40 %", 1.4), ("+40%", 1.4), ("'-15 %'", 0.85), ("'- 2.5 %'", 0.975)])
def test_a_share_of_the_ordinary_day(effect: str, factor: float):
    (sized,) = calendar_of(having(event(effect))).sized_events
    assert sized.day == DAY
    assert sized.factor == pytest.approx(factor)


def test_every_day_of_the_event_goes_like_the_day_it_names():
    calendar = calendar_of(having(event("like 2025-11-28", ", to: 2026-11-28")))
    days = (DAY, date(2026, 11, 28))
    assert calendar.sized_events == tuple(SizedEvent(day, like=date(2025, 11, 28)) for day in days)


def test_a_closed_event_is_a_closure_beside_the_others():
    closures = "    closures:\n      - {name: Inventory, from: 2026-12-30}\n"
    calendar = calendar_of(having(event("closed"), closures=closures))
    assert calendar.closures == (date(2026, 12, 30), DAY)
    assert not calendar.events
    assert not calendar.sized_events


def test_an_event_without_an_effect_is_as_large_as_earlier_ones():
    calendar = calendar_of(having("{name: Sale, from: 2026-11-27}"))
    assert calendar.events == (DAY,)
    assert not calendar.sized_events


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (
            "40",
            "40 is no effect; write '+40 %' or '-15 %' of the ordinary day, 'like 2025-11-28' or 'closed'.",
        ),
        ("2025-11-28", "is no effect; write '+40 %' or '-15 %' of the ordinary day, 'like 2025-11-28' or 'closed'."),
        ("busy", "'busy' is no effect; write "),
        ("-100 %", "'-100 %' leaves no load; write 'closed' for a day without business."),
        ("+4000 %", "'+4000 %' is beyond '+1000 %', the largest effect; is a point missing?"),
        ("like 2025-02-30", "'like 2025-02-30' names no day; write it like 'like 2025-11-28'."),
        ("like 2026-11-27", "2026-11-27 does not lie before 'from' 2026-11-27; name an earlier day."),
    ],
)
def test_the_sentence(effect: str, expected: str):
    told = only(having(event(effect)))
    assert "a.yaml:9: spec.calendar.events[0].effect: " in told
    assert expected in told


def test_a_closure_has_no_effect():
    closures = "    closures:\n      - {name: Inventory, from: 2026-12-30, effect: +40 %}\n"
    told = only(having("{name: Sale, from: 2026-11-27}", closures=closures))
    assert "spec.calendar.closures[0].effect: There is no such field here." in told
