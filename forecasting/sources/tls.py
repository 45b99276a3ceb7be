"""TLS for clients: which server is believed, and which certificate is shown."""

from __future__ import annotations

import ssl

from forecasting.errors import SourceConfigurationError
from forecasting.sources.settings import TlsSettings


def client_context(tls: TlsSettings, where: str) -> ssl.SSLContext:
    """A context made from the files as they are now.

    Raises:
        SourceConfigurationError: a file cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise SourceConfigurationError(
            f"{where}: tls.caFile, certFile or keyFile cannot be used: {error.strerror or error}"
        ) from None
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
