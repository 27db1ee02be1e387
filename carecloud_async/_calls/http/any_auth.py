"""AnyAuth: an `Auth` of httpx, and of httpx2 too where it is installed: a user's client may be of either."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import httpx2

    class AnyAuth(httpx.Auth, httpx2.Auth):  # type: ignore[misc]  # the flows of each name its own requests
        """The base of our auths."""

else:
    _libraries = [import_module(name) for name in ("httpx", "httpx2") if find_spec(name) is not None]
    AnyAuth = type("AnyAuth", tuple(library.Auth for library in _libraries), {"__doc__": "The base of our auths."})


def authority(url: Any) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL, as text or as an object of httpx or httpx2."""
    parts = httpx.URL(url) if isinstance(url, str) else url
    return parts.scheme, parts.host, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
