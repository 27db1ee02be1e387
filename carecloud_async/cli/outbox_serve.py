"""`carecloud outbox FILE serve`: an outbox for tills in any language, over HTTP."""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio

from carecloud_async._base.project import is_loopback
from carecloud_async._base.runtime.durable_files import create_private
from carecloud_async.cli.console import INTERRUPTED, say
from carecloud_async.cli.failures import MissingExtraError, UsageError
from carecloud_async.outbox.outbox import CLOSING_SECONDS

if TYPE_CHECKING:
    from carecloud_async.cli.connect import Connection

__all__ = ["serve"]

#: Seconds for which requests are finished after the program was told to end.
_GRACE: Final = 3
#: Seconds to wait for the process before this one: it finishes requests of tills, and then requests of the outbox.
_WAIT: Final = _GRACE + CLOSING_SECONDS + 2.0


def serve(
    connection: Connection,
    path: Path,
    *,
    host: str,
    port: int,
    token_file: Path | None,
    rate: float | None,
    settle: float | None,
) -> int:
    """Serve an outbox until Ctrl-C or SIGTERM.

    Args:
        connection: the project and the API user.
        path: the file of the outbox; made if it is not there.
        host, port: where to listen.
        token_file: the file of the secret that requests must show.
        rate, settle: as of the other commands.
    """
    if token_file is None:
        raise UsageError("serve needs --token-file FILE: the secret that tills send; the file is made if it is absent")
    try:
        import uvicorn

        from carecloud_async.fastapi.outbox_server import outbox_app
        from carecloud_async.sandbox.server.serving import listening, url_of
    except ModuleNotFoundError:
        extras = "pip install 'carecloud-async[cli,fastapi,sandbox]'"
        raise MissingExtraError(f"serve needs FastAPI and uvicorn: {extras}") from None
    token = _token(token_file)

    async def work() -> None:
        async with (
            connection.open(rate=rate) as client,
            client.outbox(path, wait=_WAIT, settle=settle) as outbox,
        ):
            try:
                listener = listening(host, port)
            except OSError as error:
                raise UsageError(f"--host {host} --port {port}: {error.strerror}") from None
            app = outbox_app(client, outbox, token=token, seconds=time.monotonic)
            options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "none"}
            server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=_GRACE, **options))
            url = url_of(listener)
            say(f"{path}: tills send to {url}/outbox/…, see {url}/docs; Ctrl-C ends it")
            if not is_loopback(host):
                say("other machines can reach it, and the secret travels in the clear: put a TLS proxy in front of it")
            with listener:
                await server.serve([listener])

    try:
        anyio.run(work)
    except KeyboardInterrupt:
        say(f"stopped; what waits stays in {path}")
    return INTERRUPTED


def _token(file: Path) -> str:
    """Return the secret in a file that only this user can read; a new one is made."""
    if not file.exists():
        with create_private(file) as made:
            made.write(f"{secrets.token_urlsafe(32)}\n".encode())
            made.flush()
            os.fsync(made.fileno())
        say(f"{file}: made, with a new secret for the tills")
    token = file.read_text(encoding="utf-8-sig", errors="replace").strip()  # editors of Windows put a mark before it
    if not re.fullmatch(r"[!-~]{16,}", token):
        raise UsageError(f"{file}: a secret is at least 16 ASCII characters without spaces, in one line")
    return token
