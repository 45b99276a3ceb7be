"""What an operator says about how media servers are asked: where they listen, and as whom we come.

A secret is never written here: a field names the file or the environment variable that holds it, and it is read anew at
each request, so that a rotated one is seen at once.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StrictBool, StrictStr, model_validator

from forecasting.sources.settings import SettingsModel
from scaler.errors import FleetError
from scaler.retirement.readings import GatePosition

Port = Annotated[int, Field(ge=1, le=65535)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,79}$")]
GateValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
UrlPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$", max_length=200)]
UrlPathAndQuery = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/?&=%-]*$", max_length=400)]
FieldPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=200)]


class SecretMissingError(FleetError):
    """The file or variable that holds a secret, or whom to trust, cannot be read."""


class Login(SettingsModel):
    """A user, and where the password is."""

    username: str = Field(min_length=1, max_length=200, pattern=r"^[^\r\n:]+$")
    """User name."""
    password_file: Path | None = None
    """File that holds the password."""
    password_env: str | None = None
    """Environment variable that holds the password."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password_file is None) == (self.password_env is None):
            raise ValueError("name one of passwordFile and passwordEnv")
        return self

    def password(self) -> str:
        """The password as it is now.

        Raises:
            SecretMissingError: it cannot be read. The text names the place, never the secret.
        """
        if self.password_file is not None:
            try:
                return self.password_file.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise SecretMissingError(f"passwordFile {self.password_file}: {type(error).__name__}") from error
        found = os.environ.get(self.password_env or "")
        if not found:
            raise SecretMissingError(f"passwordEnv {self.password_env} is not set")
        return found


class Tls(SettingsModel):
    """How a pod is known to be one of ours, where it is asked over TLS."""

    server_name: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", max_length=253)
    """Name in the certificates of all pods: they are asked by address, which no certificate needs to have."""
    ca_file: Path | None = None
    """PEM file of the authorities that are trusted, read at each use; without it those of the machine."""

    def context(self) -> ssl.SSLContext:
        """Whom to trust now.

        Raises:
            SecretMissingError: the file of authorities cannot be read.
        """
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise SecretMissingError(f"caFile {self.ca_file}: {type(error).__name__}") from error


class PendingWork(SettingsModel):
    """Who tells what outlives the last channel of a pod, recordings and uploads: an address of the pod, or a command.

    The answer is a JSON list of names, `{"pending": […]}`, or how many there are. Else the pod counts as busy.
    """

    port: Port | None = None
    """Port on the pod's address, which is asked over HTTP and answers 200."""
    path: UrlPath = "/pending"
    """Path there."""
    command: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] | None = Field(None, min_length=1)
    """Program beside calltide that is run instead, with its arguments: no shell reads them. It finds the pod in
    `CALLTIDE_POD`, `CALLTIDE_POD_NAMESPACE` and `CALLTIDE_POD_ADDRESS`, prints the answer and ends with 0."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.port is None) == (self.command is None):
            raise ValueError("name one of port and command")
        if self.command is not None and not Path(self.command[0]).is_absolute():
            raise ValueError(f"command {self.command[0]!r}: write the program's whole path, /usr/local/bin/…")
        return self


class MediaServerSettings(SettingsModel):
    """What every kind of media server has."""

    tls: Tls | None = None
    """TLS; without it the pod is asked in the clear, password included."""
    timeout_seconds: float = Field(2.0, gt=0, lt=4)
    """How long a pod may take to answer all that it is asked at a time."""
    pending_work: PendingWork | None = None
    """Work that outlives its channel; without it only channels count."""
    sip_port: Port = 5060
    """Where a SIP OPTIONS is tried before a silent pod's node is taken for dead."""


class AsteriskSettings(MediaServerSettings):
    """What both ways to ask an Asterisk have."""

    gate_variable: VariableName = "CALLTIDE_GATE"
    """Global variable of the dialplan that says whether new calls are let in."""
    open_value: GateValue = "open"
    """Its value while they are."""
    closed_value: GateValue = "closed"
    """Its value while they are not. Any other value is neither, and the pod then counts as busy."""

    @model_validator(mode="after")
    def _gate_has_two_values(self) -> Self:
        if self.open_value == self.closed_value:
            raise ValueError("openValue and closedValue are the same; give the gate two values")
        return self

    def position(self, value: str) -> GatePosition:
        """What a value of the gate variable means.

        Raises:
            ValueError: nobody knows what the dialplan does with it.
        """
        known = {self.open_value: GatePosition.OPEN, self.closed_value: GatePosition.CLOSED}
        if value not in known:
            told = f"is {value!r:.40}" if value else "is not set"
            raise ValueError(f"{self.gate_variable} {told}, neither {self.open_value!r} nor {self.closed_value!r}")
        return known[value]

    def value(self, position: GatePosition) -> str:
        """What the gate variable is set to."""
        return self.open_value if position is GatePosition.OPEN else self.closed_value


class AmiSettings(AsteriskSettings):
    """Asterisk, asked over its manager interface (AMI). It also tells what a pod holds without a channel."""

    type: Literal["ami"] = "ami"
    """`ami`."""
    port: Port = 5038
    """Port on the pod's address."""
    login: Login
    """A manager with the write classes `call` and `reporting`; see deploy/asterisk."""
    preflight: bool = True
    """Whether outbound registrations, dynamic queue members and parked calls count as work."""


class AriSettings(AsteriskSettings):
    """Asterisk, asked over its REST interface (ARI)."""

    type: Literal["ari"] = "ari"
    """`ari`."""
    port: Port = 8088
    """Port on the pod's address."""
    path: str = Field("/ari", pattern=r"^(/[A-Za-z0-9._~-]+)*$", max_length=200)
    """Path of ARI; Asterisk's http.conf may put a prefix before it."""
    login: Login
    """An ARI user that is not read-only, since it sets the gate."""
    preflight: AmiSettings | None = None
    """AMI of the same pods, for what ARI cannot see: registrations, dynamic queue members, parked calls."""


class GateRequest(SettingsModel):
    """The request that brings a gate into one position. It is sent as it stands here."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    """Method."""
    path: UrlPathAndQuery
    """Path, with a query where there is one."""
    body: JsonValue = None
    """JSON that is sent along; without it nothing is."""


class HttpSettings(MediaServerSettings):
    """Any media server that tells its state as one JSON object over HTTP, or has a helper beside it that does."""

    type: Literal["http"]
    """`http`."""
    port: Port
    """Port on the pod's address."""
    path: UrlPath = "/state"
    """Path of the state. It is got twice: the gate of the first answer counts, and the channels of the second."""
    login: Login | None = None
    """User and password of HTTP basic authentication."""
    channels: FieldPath = "channels"
    """Field that holds how many channels live on it, or a list of them. A dot leads into an object: `calls.active`."""
    started: FieldPath = "started"
    """Field that holds a text or number that is another after each restart."""
    gate: FieldPath = "gate"
    """Field that says whether new calls are let in."""
    open_value: StrictBool | StrictStr = "open"
    """Its value while they are."""
    closed_value: StrictBool | StrictStr = "closed"
    """Its value while they are not. Any other value is neither, and the pod then counts as busy."""
    pending: FieldPath | None = None
    """Field that holds what outlives the last channel: a list of names, or how many there are."""
    open_gate: GateRequest
    """Lets new calls in."""
    close_gate: GateRequest
    """Refuses new calls, with an answer upon which the proxy takes the next pod, and ends none."""

    @model_validator(mode="after")
    def _gate_has_two_values(self) -> Self:
        if self.open_value == self.closed_value:
            raise ValueError("openValue and closedValue are the same; give the gate two values")
        return self


AnyMediaServer = Annotated[AriSettings | AmiSettings | HttpSettings, Field(discriminator="type")]
