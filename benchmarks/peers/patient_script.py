"""The hand-written script on httpx that repeats whatever fails, as a decorator for retries does."""

import asyncio

import httpx

from benchmarks.peers.httpx_script import Contender as HttpxScript

_ATTEMPTS = 6


class _Patient(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for attempt in range(1, _ATTEMPTS):
            try:
                response = await super().handle_async_request(request)
                if response.status_code != 429 and response.status_code < 500:
                    return response
                await response.aclose()
            except httpx.TransportError:
                pass
            await asyncio.sleep(2**attempt / 20)
        return await super().handle_async_request(request)


class Contender(HttpxScript):
    """Six attempts for each request, with waits that double: it does not ask what a request does."""

    def transport(self) -> httpx.AsyncHTTPTransport:
        """Return the transport that repeats."""
        return _Patient()
