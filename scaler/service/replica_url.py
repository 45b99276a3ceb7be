"""Where a replica can be copied from: exactly a scheme, a host and a port.

The text is checked where it is configured, for whoever writes it, and again where it comes from the Lease, which
whoever may write Leases may write.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_HOST_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?")


def replica_url_form(*, tls: bool) -> str:
    """What such a URL looks like, for errors."""
    return f"{'https' if tls else 'http'}://HOST:PORT"


def is_replica_url(text: str, *, tls: bool) -> bool:
    """Whether the text is one, of the scheme that goes with TLS or without."""
    scheme = "https" if tls else "http"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    shown = f"[{host}]" if ":" in host else host
    return bool(port) and _is_host(host) and text == f"{scheme}://{shown}:{port}"


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None
    return True
