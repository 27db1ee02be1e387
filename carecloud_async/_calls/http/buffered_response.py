"""Buffered responses: read to their end and unpacked first; their headers are parsed on first access."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any


def new_response(
    http_library: ModuleType, status: int, *, headers: Any, body: bytes, extensions: dict[str, Any], seconds: float
) -> Any:
    """Return a response of an HTTP library with a body that was read and unpacked.

    Args:
        http_library: httpx or httpx2.
        headers: the headers as they came.
        body: the unpacked body.
        extensions: the library's extensions.
        seconds: how long it took.
    """
    response = http_library.Response(status, content=body, extensions=extensions)
    # Set afterwards: the library would unpack a body whose headers have a `Content-Encoding`.
    response.headers = _lazy_headers_class(http_library)(headers)
    response.elapsed = timedelta(seconds=seconds)  # the library sets it when a stream closes
    return response


class BufferedResponse:
    """The parts of a response that the SDK uses, for requests without observers.

    Args:
        http_library: httpx or httpx2.
        status_code: the HTTP status.
        headers: the headers as they came.
        content: the unpacked body.
    """

    __slots__ = ("content", "headers", "status_code")

    is_closed = True

    def __init__(self, http_library: ModuleType, status_code: int, *, headers: Any, content: bytes) -> None:
        self.status_code: int = status_code
        self.headers: Any = _lazy_headers_class(http_library)(headers)
        self.content: bytes = content


@lru_cache(maxsize=2)
def _lazy_headers_class(http_library: ModuleType) -> Any:
    class LazyHeaders(http_library.Headers):  # type: ignore[name-defined,misc]
        """Headers that the library parses on first access: those of most responses are never read."""

        def __init__(self, raw: Any) -> None:
            self._raw = raw

        def __getattr__(self, name: str) -> Any:
            # Python asks here for what the library's own `__init__` has not set yet.
            raw = self.__dict__.pop("_raw", None)
            if raw is None:
                raise AttributeError(name)
            super().__init__(raw)
            return getattr(self, name)

        def get(self, key: str, default: Any = None) -> Any:
            """Return a header's value; one in ASCII is found without looking through the others."""
            raw = self.__dict__.get("_raw")
            if raw is None or not key.isascii():
                return super().get(key, default)
            wanted = key.lower().encode()
            found = [value for name, value in raw if name.lower() == wanted]
            if not found:
                return default
            value = b", ".join(found)
            return value.decode() if value.isascii() else super().get(key, default)

        def __reduce__(self) -> Any:
            return http_library.Headers, (self.raw,)

    return LazyHeaders
