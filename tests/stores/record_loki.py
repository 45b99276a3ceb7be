"""Record a real Loki's answers to everything that the tests ask: `python -m tests.stores.record_loki`.

The expectations run through a proxy that writes down each exchange, so that the recording holds what they need.
Statistics of the run are left out of the answers: they are noise, and most of the bytes.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import httpx

from tests.servers.loki import FEW_TENANT, SHORT_TENANT, TENANT, LokiServer
from tests.servers.loki_calls import lines
from tests.servers.loki_expectations import EXPECTATIONS
from tests.servers.replay import Answer, Asked, ReplayServer

TARGET = Path(__file__).parent.parent / "captures" / "loki" / "exchanges.json"


def main() -> None:
    exchanges: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        loki = LokiServer(Path(folder))
        loki.start()
        proxy = ReplayServer(lambda asked: _forward(loki.url, asked, exchanges))
        try:
            for tenant in (TENANT, SHORT_TENANT, FEW_TENANT):
                loki.push(lines(), tenant)
            loki.flush()
            for expectation in EXPECTATIONS:
                expectation(proxy.url)
        finally:
            proxy.close()
            loki.stop()
    TARGET.write_text(json.dumps(exchanges, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(exchanges)} exchanges in {TARGET}")


def _forward(url: str, asked: Asked, exchanges: list[dict[str, object]]) -> Answer:
    tenant = asked.headers.get("x-scope-orgid")
    headers = {} if tenant is None else {"X-Scope-OrgID": tenant}
    answer = httpx.post(url + asked.path, data=asked.form, headers=headers, timeout=60)
    content_type = answer.headers.get("Content-Type", "")
    exchange: dict[str, object] = {
        "request": {"path": asked.path, "form": asked.form, "tenant": tenant},
        "status": answer.status_code,
        "content_type": content_type,
        "body": _without_statistics(answer.text),
    }
    if exchange not in exchanges:
        exchanges.append(exchange)
    return Answer(answer.status_code, answer.text, content_type)


def _without_statistics(body: str) -> str:
    try:
        payload = json.loads(body)
        del payload["data"]["stats"]
    except (ValueError, KeyError, TypeError):
        return body
    return json.dumps(payload, ensure_ascii=False)


if __name__ == "__main__":
    main()
