"""Redaction: texts without secrets, URLs that print as path templates, logs of the HTTP libraries without both.

A URL of this API can hold a token, and libraries and tracers print URLs. httpcore's DEBUG log prints the headers of
responses, where a redirect repeats a URL, and parts of a broken body. httpx's log prints the reason behind a status,
in which some back ends write their error's text. hpack's DEBUG log prints the headers of HTTP/2, paths among them.
Records of the host application's own calls stay as they are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar, Token
from functools import lru_cache
from http.client import responses
from types import ModuleType
from typing import Any

_sending: ContextVar[bool] = ContextVar("carecloud_sending", default=False)

_STARS = "***"
#: Names of fields and placeholders whose values are secret: `password`, `push_token`, `login`, `login_value`.
_SECRET_NAME = re.compile(r"password|token|secret|login(?!_type)")
#: Shorter secrets are hidden only where they stand alone: they may be parts of ordinary words.
_LONG = 8
#: The API's own reasons. They reveal nothing, though a customer may have one as the password, and callers compare them.
_REASONS = frozenset({
    "already_exists", "deleted", "empty", "invalid_value_format", "not_allowed_value",
    "not_belong_to_logged_in_customer", "not_found", "relation_already_exists", "required"
})  # fmt: skip

_LOGS_ANSWERS = ("receive_response_headers", "receive_response_body")
_LOGS_REASON = 'HTTP Request: %s %s "%s %d %s"'


class Hiding:
    """Puts stars in place of secrets, in upper or lower case.

    Args:
        secrets: the secrets.
    """

    def __init__(self, secrets: frozenset[str]) -> None:
        self._secrets = sorted((secret.casefold() for secret in secrets), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without the secrets."""
        folded = text.casefold()
        shown = [secret for secret in self._secrets if secret in folded]
        if not shown or text in _REASONS:
            return text
        patterns = (
            re.escape(secret) if len(secret) >= _LONG else rf"(?<!\w){re.escape(secret)}(?!\w)" for secret in shown
        )
        return re.sub("|".join(patterns), _STARS, text, flags=re.IGNORECASE)


def texts_under_names(value: Any) -> Iterator[str]:
    """Yield the texts under names of secrets, at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if isinstance(member, str):
                if _SECRET_NAME.search(name):
                    yield member
            else:
                yield from texts_under_names(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts_under_names(member)


def _redact_answer(record: logging.LogRecord) -> bool:
    """Reduce a record of httpcore that prints a response's headers, or why it is broken, to its event name."""
    if _sending.get() and isinstance(record.msg, str) and record.msg.startswith(_LOGS_ANSWERS):
        record.msg, record.args = record.msg.partition(" ")[0], ()
    return True


def _redact_reason(record: logging.LogRecord) -> bool:
    """Give a record of httpx that prints the reason behind a status the usual one."""
    if _sending.get() and record.msg == _LOGS_REASON and isinstance(record.args, tuple):
        *others, status, _reason = record.args
        record.args = (*others, status, responses.get(status, "") if isinstance(status, int) else "")
    return True


def _drop(_: logging.LogRecord) -> bool:
    """Drop a record of hpack, which prints every header of HTTP/2, the true path and query among them."""
    return not _sending.get()


for _library in ("hpack.hpack", "hpack.table"):
    logging.getLogger(_library).addFilter(_drop)

for _library in ("httpx", "httpx2"):
    logging.getLogger(_library).addFilter(_redact_reason)

for _library in ("httpcore", "httpcore2"):
    for _part in ("http11", "http2", "proxy", "socks"):
        logging.getLogger(f"{_library}.{_part}").addFilter(_redact_answer)


class sending:  # noqa: N801  (it is used as a function; `contextmanager` would take ten times as long, for each call)
    """Send a request of the SDK in the block: what the HTTP libraries log there is redacted."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token: Token[bool] = _sending.set(True)

    def __exit__(self, *_: object) -> None:
        _sending.reset(self._token)


@lru_cache(maxsize=2)
def _redacted_class(http_library: ModuleType) -> Any:
    """Return the library's `URL` as a class that prints as the path template."""

    class RedactedURL(http_library.URL):  # type: ignore[name-defined,misc]
        """A URL that prints as `shown`."""

        shown = ""

        def __str__(self) -> str:
            return self.shown

        def __repr__(self) -> str:
            return f"URL({self.shown!r})"

        def __eq__(self, other: object) -> bool:
            plain = http_library.URL(other) if isinstance(other, RedactedURL) else other
            return bool(http_library.URL(self) == plain)

        def __hash__(self) -> int:
            return hash(http_library.URL(self))

    return RedactedURL


def shown_url(http_library: ModuleType, url: str, shown: str) -> Any:
    """Return the library's `URL` that prints as a path template.

    Raises:
        Exception: the library's `InvalidURL`.
    """
    return _template(http_library, url) if url == shown else _redacted(http_library, url, shown)


@lru_cache(maxsize=1000)
def _template(http_library: ModuleType, url: str) -> Any:
    return _redacted(http_library, url, url)


def _redacted(http_library: ModuleType, url: str, shown: str) -> Any:
    redacted = _redacted_class(http_library)(url)
    redacted.shown = shown
    return redacted
