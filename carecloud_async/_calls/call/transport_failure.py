"""Classify exceptions of the HTTP library: was the request sent, was it a timeout, and what may be shown.

The libraries nest their exceptions: httpx's own wraps httpcore's, which wraps the socket's, and httpx-aiohttp reports
nearly everything as a connect timeout. The whole chain is therefore read, and the one closest to the socket decides.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from types import ModuleType

from attrs import frozen

from carecloud_async import fixes
from carecloud_async._calls.call.retry import FailureKind
from carecloud_async._calls.http.network import NETWORK_PACKAGES
from carecloud_async.errors import CareCloudError
from carecloud_async.fixes import Fix

_NOT_SENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
_UNSENDABLE = {"UnsupportedProtocol", "LocalProtocolError", "InvalidURL"}
_AIOHTTP_NOT_SENT = {
    "ClientConnectorError", "ConnectionTimeoutError", "ClientHttpProxyError", "ServerFingerprintMismatch",
}  # fmt: skip

#: TLS failures that mean a closed connection, not a permanent incompatibility.
_TRANSIENT_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
#: Remedies by OpenSSL's codes: not yet valid and expired; made for another name and another IP address.
_CERTIFICATE_FIXES = {9: fixes.DATES, 10: fixes.DATES, 62: fixes.PROJECT_URL, 64: fixes.PROJECT_URL}
#: The most links of a chain of exceptions that are read.
_CHAIN = 8


@frozen(kw_only=True)
class TransportFailure:
    """Meaning of an exception of the HTTP library.

    Attributes:
        kind: whether the request may have been sent, and whether a retry can help.
        sent: whether the request may have been sent.
        timeout: whether it was a timeout.
        cannot_unpack: whether the answer's body cannot be decompressed.
        malformed: whether the answer is not valid HTTP.
        text: the part of the message that may be shown.
        fix: the remedy, if it is known.
    """

    kind: FailureKind
    sent: bool
    timeout: bool = False
    cannot_unpack: bool = False
    malformed: bool = False
    text: str
    fix: Fix | None = None


def classify(error: Exception, *, http_library: ModuleType, sent: bool) -> TransportFailure | None:
    """Return the meaning of an exception that the client raised.

    Args:
        http_library: the HTTP library, httpx or httpx2.
        sent: whether the request was about to be sent.

    Returns:
        Its meaning, or `None` if the exception is not the HTTP library's: a user's own code raised it.
    """
    if isinstance(error, CareCloudError) or not is_library_error(error, http_library=http_library, sent=sent):
        return None
    chain = list(_chain(error))
    names = {cls.__name__ for cls in type(error).__mro__}
    if "DecodingError" in names:
        return TransportFailure(kind=FailureKind.PERMANENT, sent=True, cannot_unpack=True, text=type(error).__name__)
    # Over HTTP/2, a `LocalProtocolError` may also mean that the answer breaks the rules: the request has been sent.
    is_http2 = sent and any(_root(type(link)) == "h2" for link in chain)
    if not is_http2 and (names & _UNSENDABLE or isinstance(error, ValueError | TypeError)):
        return TransportFailure(
            kind=FailureKind.PERMANENT, sent=False, text=f"it cannot be sent: {type(error).__name__}"
        )
    # aiohttp's own exception, where there is one, says more than those around it.
    origin = next((link for link in chain if _root(type(link)) == "aiohttp"), None)
    if origin is None:
        sent = sent and names.isdisjoint(_NOT_SENT)
        timeout = "TimeoutException" in names
    else:
        sent = sent and _AIOHTTP_NOT_SENT.isdisjoint(cls.__name__ for cls in type(origin).__mro__)
        timeout = isinstance(origin, TimeoutError)
    cause = None if sent else _permanent_cause(chain)
    if cause is not None:
        text, fix = cause
        return TransportFailure(kind=FailureKind.PERMANENT, sent=False, text=text, fix=fix)
    return TransportFailure(
        kind=FailureKind.NO_RESPONSE if sent else FailureKind.NOT_SENT,
        sent=sent,
        timeout=timeout,
        malformed=sent and any(_is_not_http(link) for link in chain),
        text=_text(origin or error, chain),
    )


def is_library_error(error: Exception, *, http_library: ModuleType, sent: bool) -> bool:
    """Return whether an exception comes from an HTTP library, and not from a user's own code."""
    if isinstance(error, (http_library.HTTPError, http_library.StreamError, http_library.InvalidURL)):
        return True
    if _raised_in(error) in NETWORK_PACKAGES:
        return True
    return sent and (_root(type(error)) in NETWORK_PACKAGES or isinstance(error, OSError))


def _root(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _raised_in(error: Exception) -> str:
    """Return the package that raised: closed pools and invalid headers raise plain RuntimeErrors and ValueErrors."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "" if traceback is None else str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_CHAIN):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _permanent_cause(chain: list[BaseException]) -> tuple[str, Fix] | None:
    """Return why connecting again cannot help, with the remedy; `None` if it can."""
    for link in chain:
        status = _proxy_status(link)
        if status is not None and 400 <= status < 500:
            return f"the proxy refuses with {status}", fixes.PROXY
        if _root(type(link)) == "aiohttp":
            continue  # its TLS errors are only wrappers, and look like ssl's own
        if isinstance(link, ssl.SSLCertVerificationError):
            reason = link.verify_message or "no trust"
            fix = _CERTIFICATE_FIXES.get(link.verify_code, fixes.PRIVATE_CA)
            return f"its certificate cannot be verified, {reason.rstrip('.')}", fix
        if isinstance(link, ssl.SSLError) and not isinstance(link, _TRANSIENT_TLS):
            return f"TLS failed, {link.reason or type(link).__name__}", fixes.TLS
        if isinstance(link, socket.gaierror) and link.errno in {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)}:
            return "there is no such host", fixes.NO_HOST
    return None


def _is_not_http(link: BaseException) -> bool:
    """Return whether a library could not parse the answer; a truncated answer does not count."""
    name = type(link).__name__
    match _root(type(link)):
        case "aiohttp":
            return name in {"ClientResponseError", "HttpProcessingError"}
        case "h11":
            return name == "RemoteProtocolError" and not str(link).startswith("peer closed connection")
        case "h2" | "httptools":
            return True
    return name == "InvalidURL"  # of a redirect


def _proxy_status(link: BaseException) -> int | None:
    name = type(link).__name__
    if name == "ClientHttpProxyError":
        status = getattr(link, "status", None)
        return status if isinstance(status, int) else None
    if name == "ProxyError" and str(link)[:3].isdigit():
        return int(str(link)[:3])
    return None


def _text(shown: BaseException, chain: list[BaseException]) -> str:
    code = next((link.errno for link in chain if isinstance(link, OSError) and link.errno in errno.errorcode), None)
    name = type(shown).__name__
    return name if code is None else f"{name}, {errno.errorcode[code]}"
