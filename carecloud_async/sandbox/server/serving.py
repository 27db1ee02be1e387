"""The sandbox on a real socket: uvicorn, with a protocol that can close a connection in the middle of an answer."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from carecloud_async.sandbox.server.app import DISCONNECT, Connections, SandboxApp

_STARTUP_SECONDS = 30.0


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; clients may connect at once, and wait until the server is there.

    Raises:
        OSError: The address is not available.
    """
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def url_of(listener: socket.socket) -> str:
    """The base URL of a listening socket on this machine, such as `http://127.0.0.1:49321`."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:  # it listens everywhere; no client calls that
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_in_foreground(app: SandboxApp, *, host: str, port: int, on_ready: Callable[[str], object]) -> None:
    """Serve until interrupted; Ctrl-C is not an error.

    Args:
        app: The sandbox's app.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.
        on_ready: Called with the base URL once clients may connect.

    Raises:
        OSError: The address is not available.
    """
    with listening(host, port) as listener, suppress(KeyboardInterrupt):
        on_ready(url_of(listener))
        server_for(app, host=host, port=port).run([listener])


def server_for(app: SandboxApp, *, host: str, port: int) -> Server:
    """A server that listens nowhere yet.

    Args:
        app: The sandbox's app.
        host: Name or address to listen on.
        port: Port to listen on.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_closable_protocol(app.connections),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        # The app's own `Date` follows the sandbox's clock.
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    return Server(config)


class Server(uvicorn.Server):
    """A uvicorn server that reports when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready: threading.Event = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; sets `ready`."""
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving_in_thread(app: SandboxApp, *, host: str, port: int) -> Iterator[str]:
    """Serve from another thread while the block runs.

    Args:
        app: The sandbox's app.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.

    Yields:
        The base URL.
    """
    listener = listening(host, port)
    server = server_for(app, host=host, port=port)
    thread = threading.Thread(target=server.run, args=([listener],), name="carecloud-sandbox", daemon=True)
    thread.start()
    try:
        if not server.ready.wait(_STARTUP_SECONDS):
            raise RuntimeError("the sandbox's server did not start")
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _closable_protocol(connections: Connections) -> type[H11Protocol]:
    class ClosableProtocol(H11Protocol):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            serve = self.app

            async def with_disconnect(scope: Any, receive: Any, send: Any) -> None:
                scope.setdefault("extensions", {})[DISCONNECT] = self._disconnect
                await serve(scope, receive, send)

            self.app = with_disconnect

        def connection_made(self, transport: Any) -> None:
            connections.opened()
            # asyncio does it only for sockets whose protocol number says TCP, and `create_server` makes others. Without
            # it the body waits for the client to acknowledge the head: some 40 ms.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed()
            super().connection_lost(exc)

        def _disconnect(self) -> None:
            # Flush first: half an answer is to arrive as half.
            self.transport.close()

    return ClosableProtocol
