"""The sandbox in process: an httpx or httpx2 transport that needs no socket, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from carecloud_async.sandbox.app import SandboxApp
from carecloud_async.sandbox.damage import ConnectionCutError

if TYPE_CHECKING:
    import httpx2

NO_ANSWER = "Server disconnected without sending a response."
HALF_AN_ANSWER = "peer closed connection without sending complete message body"


def what_httpx_says(cut: ConnectionCutError) -> str:
    """The message that httpx gives when a connection dies like this."""
    return NO_ANSWER if cut.answer is None else HALF_AN_ANSWER


def read_timeout(extensions: Mapping[str, Any]) -> float | None:
    """Seconds that the client waits for an answer, or `None`.

    httpx leaves time limits to the transport. Here the whole answer counts as one read; and unlike a real server, the
    sandbox stops working when the client gives up, so a request that is delayed past the limit is never worked on.
    """
    seconds = (extensions.get("timeout") or {}).get("read")
    return None if seconds is None else float(seconds)


class InProcessTransport(httpx.AsyncBaseTransport):
    """Calls the app instead of a server; a cut connection is what httpx makes of one.

    Args:
        app: The sandbox's app.
    """

    def __init__(self, app: SandboxApp) -> None:
        self._inner = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx.

        Raises:
            httpx.RemoteProtocolError: A fault cut the connection.
            httpx.ReadTimeout: The answer took longer than the client waits.
        """
        try:
            with anyio.fail_after(read_timeout(request.extensions)):
                return await self._inner.handle_async_request(request)
        except ConnectionCutError as cut:
            raise httpx.RemoteProtocolError(what_httpx_says(cut), request=request) from None
        except TimeoutError:
            raise httpx.ReadTimeout("The read operation timed out", request=request) from None


def httpx2_transport(app: SandboxApp) -> httpx2.AsyncBaseTransport:
    """The same for httpx2, which is imported only now.

    Args:
        app: The sandbox's app.
    """
    import httpx2

    class InProcessTransport2(httpx2.AsyncBaseTransport):
        def __init__(self) -> None:
            self._inner = httpx2.ASGITransport(app=app)

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            try:
                with anyio.fail_after(read_timeout(request.extensions)):
                    return await self._inner.handle_async_request(request)
            except ConnectionCutError as cut:
                raise httpx2.RemoteProtocolError(what_httpx_says(cut), request=request) from None
            except TimeoutError:
                raise httpx2.ReadTimeout("The read operation timed out", request=request) from None

    return InProcessTransport2()
