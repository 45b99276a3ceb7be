"""What the KEDA process is told on its command line, as one frozen value."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keda_external_scaler.look_up import DEFAULT_STALE_AFTER_S
from keda_external_scaler.tls import TlsFiles


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the process."""

    book: Path
    listen: str
    stale_after_s: float
    tls: TlsFiles | None
    max_connection_age_s: float
    stop_grace_s: float
    stats: Path | None


def parse_arguments(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line; a fault ends the process with code 2 and a message, as argparse does."""
    parser = argparse.ArgumentParser(prog="python -m keda_external_scaler", description="Answer KEDA from a book.")
    parser.add_argument("--book", type=Path, required=True, help="the answer book; it need not exist yet")
    parser.add_argument("--listen", required=True, help="HOST:PORT; port 0 takes a free one and logs it")
    parser.add_argument(
        "--stale-after",
        type=_seconds,
        default=DEFAULT_STALE_AFTER_S,
        help="seconds until the answer is given alone (default %(default)s)",
    )
    parser.add_argument("--tls-cert", type=Path, help="certificate chain, PEM; read again at each new connection")
    parser.add_argument("--tls-key", type=Path, help="its private key, PEM")
    parser.add_argument("--client-ca", type=Path, help="demand client certificates of this authority, PEM")
    parser.add_argument(
        "--max-connection-age",
        type=_seconds,
        default=300.0,
        help="seconds until a connection is closed gracefully, so that clients spread anew (default %(default)s)",
    )
    parser.add_argument(
        "--stop-grace",
        type=_seconds,
        default=5.0,
        help="seconds that calls under way get after SIGTERM (default %(default)s)",
    )
    parser.add_argument("--stats", type=Path, help="where counters are written every few seconds, as JSON")
    given = parser.parse_args(arguments)
    if (given.tls_cert is None) != (given.tls_key is None):
        parser.error("--tls-cert and --tls-key belong together; give both or neither")
    if given.client_ca is not None and given.tls_cert is None:
        parser.error("--client-ca needs TLS; give --tls-cert and --tls-key too")
    host, colon, port = given.listen.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and int(port) <= 65_535):
        parser.error(f"--listen {given.listen!r} is not HOST:PORT, like 0.0.0.0:9090 or [::]:9090")
    return Settings(
        book=given.book,
        listen=given.listen,
        stale_after_s=given.stale_after,
        tls=None if given.tls_cert is None else TlsFiles(given.tls_cert, given.tls_key, given.client_ca),
        max_connection_age_s=given.max_connection_age,
        stop_grace_s=given.stop_grace,
        stats=given.stats,
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 < value <= 86_400):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and 86400")
    return value
