"""The page's files: ours from this package, the chart library from the package `plotly`. Nothing from elsewhere.

All are read once and kept in memory. Ours are small and revalidated at each use; the chart library is large, so its
address carries its version and the browser keeps it for good.
"""

from __future__ import annotations

import gzip
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template

import plotly
from fastapi import Request
from fastapi.responses import Response

PLOTLY_NAME = f"plotly-{plotly.__version__}.js"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}
_REVALIDATE = "no-cache"
_KEEP = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and compressed."""

    content: bytes
    compressed: bytes
    media_type: str
    cache_control: str
    etag: str

    def respond(self, request: Request) -> Response:
        """The file, or 304 when the browser has it already."""
        headers = {"Cache-Control": self.cache_control, "ETag": self.etag, "Vary": "Accept-Encoding"}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(self.compressed, media_type=self.media_type, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def _asset(content: bytes, suffix: str, cache_control: str) -> Asset:
    # Compressed by itself with a fixed time, so that the bytes of one version are always the same.
    compressed = gzip.compress(content, compresslevel=6, mtime=0)
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return Asset(content, compressed, _TYPES[suffix], cache_control, etag)


@cache
def own_assets() -> Mapping[str, Asset]:
    """Our files by name."""
    folder = files("scaler.web") / "static"
    return {
        entry.name: _asset(entry.read_bytes(), "." + entry.name.rpartition(".")[2], _REVALIDATE)
        for entry in folder.iterdir()
        if entry.is_file() and entry.name != "index.html"
    }


@cache
def plotly_asset() -> Asset:
    """The chart library. Reading and compressing takes a part of a second: call it in a thread."""
    content = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return _asset(content, ".js", _KEEP)


def page(version: str) -> Asset:
    """The page's shell."""
    template = Template((files("scaler.web") / "static" / "index.html").read_text(encoding="utf-8"))
    text = template.substitute(version=html.escape(version), plotly=PLOTLY_NAME)
    return _asset(text.encode(), ".html", _REVALIDATE)
