"""The demo's cast: twenty tenants in four time zones, the policies that size their fleets, and a morning to begin on.

The fleets themselves are listed in the policies beside this file, as anybody would list them; `SimulatedSources` is
what the service opens instead of Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays

from forecasting.calendar import CivilCalendar
from scaler.clock import Clock
from scaler.demo.days import SimulatedTenant
from scaler.demo.profiles import CALL_CENTRE, HOSPITAL, OFFICE
from scaler.demo.source import SimulatedCalls

POLICIES = Path(__file__).parent / "policies"
"""The policy files of the demo."""

SOURCE = "demo"
"""Name of the history source in those policies."""

NEW_YORK = CivilCalendar("America/New_York", "US", "NY")
BERLIN = CivilCalendar("Europe/Berlin", "DE", "BE")
JERUSALEM = CivilCalendar("Asia/Jerusalem", "IL")
SYDNEY = CivilCalendar("Australia/Sydney", "AU", "NSW")

TENANTS = (
    SimulatedTenant("hudson-law", NEW_YORK, OFFICE, 900),
    SimulatedTenant("brooklyn-freight", NEW_YORK, OFFICE, 1500, growth_per_year=0.3),
    SimulatedTenant("empire-realty", NEW_YORK, OFFICE, 1100),
    SimulatedTenant("liberty-insurance", NEW_YORK, CALL_CENTRE, 2200),
    SimulatedTenant("parkway-retail", NEW_YORK, CALL_CENTRE, 1600, growth_per_year=0.25),
    SimulatedTenant("tristate-energy", NEW_YORK, CALL_CENTRE, 1300),
    SimulatedTenant("riverside-hospital", NEW_YORK, HOSPITAL, 1700),
    SimulatedTenant("st-anne-clinics", NEW_YORK, HOSPITAL, 800),
    SimulatedTenant("spree-logistik", BERLIN, OFFICE, 1000),
    SimulatedTenant("kontor-nord", BERLIN, OFFICE, 700),
    SimulatedTenant("werk-sieben", BERLIN, OFFICE, 1200, growth_per_year=0.2),
    SimulatedTenant("havel-versicherung", BERLIN, CALL_CENTRE, 1900),
    SimulatedTenant("mobil-direkt", BERLIN, CALL_CENTRE, 1500),
    SimulatedTenant("stadtwerk-service", BERLIN, CALL_CENTRE, 900),
    SimulatedTenant("carmel-bank", JERUSALEM, CALL_CENTRE, 1600),
    SimulatedTenant("galil-telecom", JERUSALEM, CALL_CENTRE, 1200),
    SimulatedTenant("harbour-travel", SYDNEY, CALL_CENTRE, 1400),
    SimulatedTenant("southern-mutual", SYDNEY, CALL_CENTRE, 1100),
    SimulatedTenant("bondi-health", SYDNEY, HOSPITAL, 1300),
    SimulatedTenant("blue-mountains-hospital", SYDNEY, HOSPITAL, 500),
)

_TUESDAY = 1
_BEGIN = time(7, 45)


@dataclass(frozen=True, slots=True)
class SimulatedSources:
    """Opens the simulated calls under any name: a small value that can be sent to a worker process."""

    clock: Clock
    seed: int = 1

    def open(self, name: str) -> SimulatedCalls:
        """The calls of all tenants; the same in every process."""
        del name  # the demo has one source
        return SimulatedCalls(TENANTS, self.clock, seed=self.seed)


def demo_start_s(wall_s: float, calendar: CivilCalendar = NEW_YORK) -> float:
    """A quarter to eight on the newest past Tuesday that is no holiday, epoch seconds: an hour ahead of the ramp."""
    zone = ZoneInfo(calendar.time_zone)
    today = datetime.fromtimestamp(wall_s, zone).date()
    day = today - timedelta(days=(today.weekday() - _TUESDAY) % 7)
    begin = datetime.combine(day, _BEGIN, zone)
    if begin.timestamp() > wall_s:
        day -= timedelta(days=7)
    days_off = (
        holidays.country_holidays(calendar.country, subdiv=calendar.subdivision, years=[day.year - 1, day.year])
        if calendar.country
        else {}
    )
    while day in days_off:
        day -= timedelta(days=7)
    return datetime.combine(day, _BEGIN, zone).timestamp()
