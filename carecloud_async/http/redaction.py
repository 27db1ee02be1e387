"""URLs that print as path templates: a URL of this API can hold a token, and libraries and tracers print URLs."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Any

#: The request's extension under which our own clients keep the true URL.
TARGET = "carecloud_url"


@lru_cache(maxsize=2)
def redacted_url(family: ModuleType) -> Any:
    """Return the family's `URL` as a class that prints as the path template."""

    class RedactedURL(family.URL):  # type: ignore[name-defined,misc]
        """Works as the URL it is, and shows the operation only."""

        shown = ""

        def __str__(self) -> str:
            return self.shown

        def __repr__(self) -> str:
            return f"URL({self.shown!r})"

        def __eq__(self, other: object) -> bool:
            return bool(family.URL(self) == (family.URL(other) if isinstance(other, RedactedURL) else other))

        def __hash__(self) -> int:
            return hash(family.URL(self))

    return RedactedURL


def true_url(request: Any) -> str:
    """Return the URL to ask for: the true one of a request of ours, else the request's own."""
    found = request.extensions.get(TARGET)
    return found if isinstance(found, str) else str(request.url)


@lru_cache(maxsize=2)
def true_url_transport(family: ModuleType) -> Any:
    """Return the class of a transport that hands the true URL on to another transport."""

    class TrueUrlTransport(family.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        """Gives a transport the true URL, which it needs for its request line."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def handle_async_request(self, request: Any) -> Any:
            plain = family.Request(
                request.method,
                true_url(request),
                headers=request.headers,
                stream=request.stream,
                extensions={name: value for name, value in request.extensions.items() if name != TARGET},
            )
            await plain.aread()
            return await self.inner.handle_async_request(plain)

        async def aclose(self) -> None:
            await self.inner.aclose()

    return TrueUrlTransport
