"""Adapter for a given transport: passes it the unredacted URL, and reads its response within the bound."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

from carecloud_async._calls.http.bodies import UnpackError, read_body
from carecloud_async._calls.http.buffered_response import new_response
from carecloud_async._calls.http.destinations import handing_over
from carecloud_async._calls.http.outgoing import OutgoingRequest, trace_departure
from carecloud_async._calls.http.redaction import TARGET, redacted_url, sending, true_url


def adapt_transport(
    http_library: ModuleType, inner: Any, *, max_response_bytes: int, inner_library: ModuleType | None = None
) -> Any:
    """Return a transport of an HTTP library that sends through another transport.

    Args:
        http_library: httpx or httpx2, as the client is.
        inner: the transport that sends.
        max_response_bytes: the largest response, unpacked.
        inner_library: its library, where that is another one.
    """
    return _adapter_class(http_library, inner_library or http_library)(inner, max_response_bytes)


@lru_cache(maxsize=4)
def _adapter_class(http_library: ModuleType, inner_library: ModuleType) -> Any:
    class AdaptedTransport(http_library.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        """Sends through another transport, and reads what it returns."""

        def __init__(self, inner: Any, max_response_bytes: int) -> None:
            self._inner = inner
            self._limit = max_response_bytes
            # Tracers that patch this class print the URL. A transport of the user's may send to what `str` shows.
            self._is_library_own = type(inner) is inner_library.AsyncHTTPTransport

        def send_outgoing(self, request: OutgoingRequest) -> Coroutine[Any, Any, Any]:
            return self.handle_async_request(request.to_httpx())

        async def handle_async_request(self, request: Any) -> Any:
            began = time.perf_counter()
            handing_over(true_url(request))
            with sending(), _translated_errors(http_library, inner_library, request):
                plain = inner_library.Request(
                    request.method,
                    true_url(request),
                    headers=request.headers.raw,
                    stream=inner_library.ByteStream(await request.aread()),
                    extensions={name: value for name, value in request.extensions.items() if name != TARGET},
                )
                await plain.aread()
                if self._is_library_own:
                    plain.url = redacted_url(inner_library)(true_url(request))
                    plain.url.shown = str(request.url)
                trace_departure(plain.extensions)
                response = await self._inner.handle_async_request(plain)
                body = await read_body(response, limit=self._limit)
            return new_response(
                http_library,
                response.status_code,
                headers=response.headers.raw,
                body=body,
                extensions=response.extensions,
                seconds=time.perf_counter() - began,
            )

        async def aclose(self) -> None:
            await self._inner.aclose()

    return AdaptedTransport


@contextmanager
def _translated_errors(http_library: ModuleType, inner_library: ModuleType, request: Any) -> Iterator[None]:
    """Raise the library's exception of the same name for one of the inner library; it is about the request."""
    try:
        yield
    except UnpackError as error:
        raise http_library.DecodingError(str(error), request=request) from error
    except inner_library.TransportError as error:
        if http_library is inner_library:
            error.request = request
            raise
        names = (cls.__name__ for cls in type(error).__mro__)
        same = next(found for name in names if (found := getattr(http_library, name, None)) is not None)
        raise same(str(error), request=request) from error
