"""Media servers as the configuration names them."""

from __future__ import annotations

from collections.abc import Callable

from scaler.fleet.pbx.ami import Ami
from scaler.fleet.pbx.ari import Ari
from scaler.fleet.pbx.http_json import HttpJson
from scaler.fleet.pbx.protocol import MediaServer
from scaler.fleet.pbx.settings import AmiSettings, AriSettings, HttpSettings


def open_media_server(settings: AriSettings | AmiSettings | HttpSettings, clock: Callable[[], float]) -> MediaServer:
    """The way to ask that the settings describe. `clock` is the leader's, in seconds."""
    match settings:
        case AriSettings():
            return Ari(settings, clock)
        case AmiSettings():
            return Ami(settings, clock)
        case HttpSettings():
            return HttpJson(settings, clock)
