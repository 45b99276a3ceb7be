from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from forecasting.sources import FileSettings, LokiSettings, PrometheusSettings, SourceSettings, open_source
from forecasting.sources.file import FileSource
from forecasting.sources.loki import LokiSource
from forecasting.sources.prometheus import PrometheusSource

ANY = TypeAdapter(SourceSettings)


def test_the_type_tells_the_source() -> None:
    assert isinstance(
        open_source(ANY.validate_python({"type": "prometheus", "url": "http://p:9090"}), "p"), PrometheusSource
    )
    assert isinstance(open_source(ANY.validate_python({"type": "loki", "url": "http://l:3100"}), "l"), LokiSource)
    assert isinstance(open_source(ANY.validate_python({"type": "file", "paths": "a.csv"}), "f"), FileSource)


def test_settings_are_written_in_camel_case_and_one_path_needs_no_list() -> None:
    settings = ANY.validate_python(
        {"type": "file", "paths": "calls.csv", "kind": "events", "timeColumn": "start", "timeZone": "Asia/Jerusalem"}
    )
    assert isinstance(settings, FileSettings)
    assert settings.paths == ("calls.csv",)
    assert settings.time_column == "start"


def test_a_path_prefix_stays_and_a_slash_at_the_end_goes() -> None:
    assert PrometheusSettings(type="prometheus", url="https://mimir.example/prometheus/").url.endswith("/prometheus")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "http://user:s3cret@host:9090"}, "use basicAuth"),
        ({"url": "ftp://host/s3cret"}, "http"),
        ({"url": "http://host:port"}, "malformed"),
        ({"url": "http://host/?token=s3cret"}, "without query"),
        ({"url": "http://h", "headers": {"Authorization": "Bearer s3cret"}}, "a secret does not stand here"),
        ({"url": "http://h", "headers": {"X-Key": "s3cret\r\nX-Other: 1"}}, "printable ASCII"),
        ({"url": "http://h", "basicAuth": {"username": "u"}}, "passwordFile and passwordEnv"),
        ({"url": "http://h", "basicAuth": {"username": "u", "password": "s3cret"}}, "Extra inputs"),
        ({"url": "http://h", "bearerTokenFile": "a", "bearerTokenEnv": "b"}, "only one of"),
        ({"url": "http://h", "tls": {"certFile": "a"}}, "belong together"),
        ({"url": "http://h", "retries": 1000}, "less than or equal"),
        ({"url": "http://h", "timeoutSeconds": float("nan")}, "finite"),
    ],
)
def test_a_wrong_setting_is_told_without_its_value(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told) as error:
        PrometheusSettings.model_validate({"type": "prometheus", **given})
    assert "s3cret" not in str(error.value)


def test_a_loki_tenant_cannot_break_out_of_its_header() -> None:
    with pytest.raises(ValidationError):
        LokiSettings(type="loki", url="http://l", tenant="a\r\nX-Other: 1")


def test_an_unknown_zone_is_told() -> None:
    with pytest.raises(ValidationError, match="not an IANA time zone"):
        FileSettings.model_validate({"type": "file", "paths": "a.csv", "timeZone": "Mars/Olympus"})
