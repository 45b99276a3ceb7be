"""The session that prometheus-api-client is given: credentials, TLS, retries, and faults told apart.

It has the few parts of a `requests.Session` that the client uses. Requests are POSTs with the query in the body, so
that neither an access log nor a limit on the length of URLs meets it, and redirects are not followed, since a
followed one would turn the POST into an empty GET.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import requests

from forecasting.errors import SourceConfigurationError
from forecasting.sources.credentials import authorization
from forecasting.sources.faults import connection_fault, raise_for_status, reject_warnings
from forecasting.sources.retrying import PassingFaultError, with_retries
from forecasting.sources.settings import HttpSourceSettings


class PrometheusSession:
    """What prometheus-api-client needs of a session."""

    def __init__(self, settings: HttpSourceSettings, name: str, sleep: Callable[[float], None]) -> None:
        self._settings, self._name, self._sleep = settings, name, sleep
        self._where = f"source {name!r} ({settings.url})"
        tls = settings.tls
        self.verify: bool | str = False if tls.insecure_skip_verify else (tls.ca_file or True)
        self.cert = (tls.cert_file, tls.key_file) if tls.cert_file and tls.key_file else None
        self._session = requests.Session()
        self._session.headers.update(settings.headers)
        # A callable is asked at each request; set even without credentials, since requests would look into ~/.netrc.
        self._session.auth = self._authorize

    def mount(self, prefix: str, adapter: object) -> None:
        """Take no adapter: its retries would multiply with those here."""

    def request(
        self, method: str, url: str, params: Mapping[str, object], timeout: float, **_unused: object
    ) -> requests.Response:
        """One answer with status 200 and no warnings, after as many attempts as the settings allow.

        Raises:
            SourceError: there is none.
        """
        return with_retries(
            lambda: self._attempt(method, url, params, timeout), self._settings.retries, self._sleep, self._name
        )

    def close(self) -> None:
        """Give back connections."""
        self._session.close()

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        value = authorization(self._settings, self._name)
        if value is not None:
            request.headers["Authorization"] = value
        return request

    def _attempt(self, method: str, url: str, params: Mapping[str, object], timeout: float) -> requests.Response:
        try:
            response = self._session.request(
                method, url, data=params, timeout=timeout, verify=self.verify, cert=self.cert, allow_redirects=False
            )
        except requests.Timeout:
            raise PassingFaultError(f"{self._where}: no answer within {timeout:g} s") from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise connection_fault(error, self._where) from None
        except requests.RequestException as error:
            # Its own text may quote a header.
            raise SourceConfigurationError(
                f"{self._where}: the request cannot be made: {type(error).__name__}"
            ) from None
        except OSError as error:
            # requests tells of a CA or certificate file that is not there by a bare OSError.
            raise SourceConfigurationError(f"{self._where}: {error}") from None
        raise_for_status(response.status_code, response.headers, response.content, self._where)
        # Looked for in the bytes first, so that a large answer is not parsed twice.
        if b'"warnings"' in response.content:
            reject_warnings(response.json(), self._where)
        return response
