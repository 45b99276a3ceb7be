"""What an operator says about a place where load of the past is read.

One model per type of source, told apart by `type`. A secret is never written here: a field names the file or the
environment variable that holds it, so that printing or logging settings can give nothing away, and so that a rotated
secret is seen at the next request.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


def _plain_http_url(url: str) -> str:
    # The value itself stays out of the message: it may hold a password.
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise ValueError("the URL is malformed; write it like 'http://prometheus.monitoring:9090'") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds a user or password; use basicAuth with passwordFile or passwordEnv instead")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("the URL must be http(s)://host[:port][/path], without query or fragment")
    return url.rstrip("/")


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not an IANA time zone; write it like 'Europe/Berlin'")
    return name


def _header_pair(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise ValueError(f"{name!r} is not a header name")
        if name.lower() == "authorization":
            raise ValueError("Authorization is made from basicAuth or bearerTokenFile; a secret does not stand here")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"the value of header {name!r} must be printable ASCII")
    return headers


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class SettingsModel(BaseModel):
    """Common behaviour: camelCase in YAML, unknown fields refused, values frozen and absent from error texts."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class BasicAuth(SettingsModel):
    """HTTP basic authentication. The password is read from the file or the variable at each request."""

    username: str = Field(min_length=1)
    """User name."""
    password_file: str | None = None
    """File that holds the password."""
    password_env: str | None = None
    """Environment variable that holds the password."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password_file is None) == (self.password_env is None):
            raise ValueError("name one of passwordFile and passwordEnv")
        return self


class TlsSettings(SettingsModel):
    """How the server is checked and how calltide shows who it is."""

    ca_file: str | None = None
    """PEM file of the authorities that are trusted; without it those of the machine."""
    cert_file: str | None = None
    """PEM file of the client certificate."""
    key_file: str | None = None
    """PEM file of the client certificate's key."""
    insecure_skip_verify: bool = False
    """Take any server certificate. For tests only."""

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("certFile and keyFile belong together; give both or neither")
        return self


class HttpSourceSettings(SettingsModel):
    """What every source behind HTTP has."""

    url: Annotated[str, AfterValidator(_plain_http_url)]
    """Base URL, a path prefix included, like `https://mimir.example/prometheus`."""
    basic_auth: BasicAuth | None = None
    """User and password. Excludes the bearer token."""
    bearer_token_file: str | None = None
    """File that holds a bearer token."""
    bearer_token_env: str | None = None
    """Environment variable that holds a bearer token."""
    tls: TlsSettings = TlsSettings()
    """TLS, for an https URL."""
    headers: Annotated[dict[str, str], AfterValidator(_header_pair)] = Field({}, repr=False)
    """Headers that every request carries, like `X-Scope-OrgID` for Mimir."""
    timeout_seconds: float = Field(30.0, gt=0, le=600)
    """How long one request may take to connect, and how long it may be silent afterwards."""
    retries: int = Field(3, ge=0, le=10)
    """How often a request is repeated after 429, 5xx or a broken connection, each time waiting twice as long."""
    staleness_seconds: float = Field(300.0, gt=0, le=3600)
    """The load right now leaves out a tenant whose newest sample is older than this."""

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = (self.basic_auth, self.bearer_token_file, self.bearer_token_env)
        if sum(way is not None for way in ways) > 1:
            raise ValueError("name only one of basicAuth, bearerTokenFile and bearerTokenEnv")
        return self


class PrometheusSettings(HttpSourceSettings):
    """Prometheus, or anything that speaks its query API: Thanos, Mimir, VictoriaMetrics."""

    type: Literal["prometheus"]
    """Always `prometheus`."""


class LokiSettings(HttpSourceSettings):
    """Loki, asked by LogQL metric queries."""

    type: Literal["loki"]
    """Always `loki`."""
    tenant: str | None = Field(None, min_length=1, max_length=150, pattern=r"^[\x21-\x7e]+$")
    """Loki's own tenant, sent as `X-Scope-OrgID`. Required where Loki runs with `auth_enabled: true`."""


class FileKind(StrEnum):
    """What a row of a history file is."""

    SAMPLES = "samples"
    """A value at an instant."""
    EVENTS = "events"
    """A call: its start and how many seconds it lasted."""


class FileSettings(SettingsModel):
    """Parquet or CSV files in long form: one row per series and instant, or per call.

    The column with the values (for events: with the durations in seconds) is what the policy's query names.
    """

    type: Literal["file"]
    """Always `file`."""
    paths: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = Field(min_length=1)
    """One file or several that are read as one, later ones winning. Format by ending: .parquet, .csv, .csv.gz."""
    kind: FileKind = FileKind.SAMPLES
    """`samples` or `events`."""
    series_column: str = "series"
    """Column that names the tenant."""
    time_column: str = "ts"
    """Column with the sample's time, or the call's start."""
    time_zone: Annotated[str, AfterValidator(_known_time_zone)] = "UTC"
    """IANA zone of times that carry no offset of their own."""
    staleness_seconds: float = Field(300.0, gt=0)
    """The load right now leaves out a tenant whose newest sample ended longer ago than this."""


SourceSettings = Annotated[PrometheusSettings | LokiSettings | FileSettings, Field(discriminator="type")]
"""Any source, told apart by `type`."""
