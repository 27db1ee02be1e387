"""`carecloud outbox`: what waits in the outbox of a program that has stopped, what failed, and a server for tills."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from carecloud_async._base.project import is_loopback
from carecloud_async._base.runtime.clock import boot_id
from carecloud_async._base.runtime.durable_files import create_private
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import INTERRUPTED, put, say
from carecloud_async.cli.failures import FAILED, MissingExtraError, UsageError, explain
from carecloud_async.cli.parameters import RATE, SETTLE, argument, expands_options, flag, option
from carecloud_async.cli.reports import counted
from carecloud_async.client import CareCloud
from carecloud_async.outbox import Outbox, OutboxError
from carecloud_async.outbox.outbox import CLOSING_SECONDS
from carecloud_async.outbox.queue import OutboxQueue, WaitingEntry

#: Failed entries that are read at once.
_PAGE: Final = 1000
#: Most waiting entries that are printed.
_MOST_LISTED: Final = 1000
#: Seconds in which a server's requests may finish after a signal to stop.
_GRACE: Final = 3
#: Seconds to wait until an earlier server has ended: it finishes requests of tills, and then requests of the outbox.
_WAIT: Final = _GRACE + CLOSING_SECONDS + 2.0


@expands_options
def outbox(
    connection: Connection,
    file: str = argument("FILE", "The file of the outbox."),
    what: Literal["list", "retry", "drop", "send", "serve"] = argument(
        "[list|retry|drop|send|serve]", "What to do.", default="list"
    ),
    numbers: list[int] | None = argument("[NUMBER]...", "Failed entries to retry or drop.", default=None),
    everything: bool = flag("Retry or drop all failed entries.", "--all"),
    seconds: float | None = option("SECONDS", "send: the longest wait.", "--timeout"),
    host: str = option("ADDRESS", "serve: the address to listen on.", default="127.0.0.1"),
    port: int = option("N", "serve: the port.", min=0, max=65535, default=8137),
    token_file: Path | None = option("FILE", "serve: the file of the tills' secret; made if absent."),
    rate: float | None = RATE,
    settle: float | None = SETTLE,
) -> int:
    """Look after an outbox while no program has it open, or serve it to tills.

    list: print what failed and what waits (the first thousand), and why. retry: let failed entries wait again. drop:
    remove failed entries for good. send: send what waits; the exit code is 0 only if everything went out. serve: take
    entries over HTTP and send them until Ctrl-C; /docs describes it. Only send and serve need the project.

    Example: carecloud outbox till.db retry 12
    """
    if what in {"retry", "drop"} and bool(numbers) == everything:
        raise UsageError(f"{what} takes the numbers of failed entries, as list prints them, or --all")
    if what in {"list", "send", "serve"} and (numbers or everything):
        raise UsageError(f"{what} takes no numbers and no --all")
    path = Path(file)
    if what == "serve":
        return serve(connection, path, host=host, port=port, token_file=token_file, rate=rate, settle=settle)
    if not path.exists():
        raise OutboxError(f"{path}: there is no such file")
    if what == "send":
        return _send(connection, path, seconds=seconds, rate=rate, settle=settle)
    with closing(OutboxQueue.open(path, binding=None)) as queue:
        if what == "list":
            for line in _lines(queue):
                put(f"{line}\n".encode())
            if queue.waiting > _MOST_LISTED:
                say(f"… and {queue.waiting - _MOST_LISTED:,} more that wait")
        else:
            chosen = None if everything else numbers
            not_failed = [str(number) for number in chosen or () if not _is_failed(queue, number)]
            if not_failed:
                listed = " or ".join(not_failed)
                raise UsageError(f"no failed entry has the number {listed}: see carecloud outbox {path}")
            if what == "retry":
                count = queue.retry(chosen)
                outcome = "waits again" if count == 1 else "wait again"
            else:
                count = queue.drop(chosen)
                outcome = "dropped"
            say(f"{counted(count, 'failed entry', 'failed entries')} {outcome}")
        say(f"{queue.waiting:,} waiting, {queue.failed:,} failed")
    return 0


def _send(
    connection: Connection, path: Path, *, seconds: float | None, rate: float | None, settle: float | None
) -> int:
    """Send what waits, and say how much was sent, also when it is interrupted."""
    opened: list[Outbox] = []
    before, problem = 0, None

    async def work(client: CareCloud) -> bool:
        nonlocal before, problem
        async with client.outbox(path, settle=settle) as outbox:
            opened.append(outbox)
            before = outbox.waiting + outbox.failed
            try:
                return await outbox.flush(timeout=seconds)
            finally:
                problem = outbox.problem

    def how_far() -> str:
        if not opened:
            return "nothing was sent"
        waiting, failed = opened[0].waiting, opened[0].failed
        why = "" if problem is None or not waiting else f"; it waits: {explain(problem)[0]}"
        return f"{before - waiting - failed:,} sent, {waiting:,} waiting, {failed:,} failed{why}"

    def interrupted() -> str:
        return f"interrupted: {how_far()}; nothing is lost: carecloud outbox {path} send goes on"

    is_sent = connection.run(work, interrupted=interrupted, rate=rate)
    say(how_far())
    return 0 if is_sent else FAILED


def _is_failed(queue: OutboxQueue, number: int) -> bool:
    # The first failed entry that is not before this number.
    return any(entry.id == number for entry in queue.failures(after=number - 1, limit=1))


def _lines(queue: OutboxQueue) -> Iterator[str]:
    """Yield a line for each failed entry, and then for each of the first entries that wait."""
    last = 0
    while failures := queue.failures(after=last, limit=_PAGE):
        last = failures[-1].id
        for failure in failures:
            why = "; ".join(failure.reasons)
            yield f"{failure.id}\t{_moment(failure.put_at)}\t{failure.label}\t{failure.outcome}\t{why}"
    for entry in queue.waiting_entries(limit=_MOST_LISTED, boot=boot_id()):
        why = "; ".join(_reasons_to_wait(entry))
        yield f"{entry.id}\t{_moment(entry.put_at)}\t{entry.label}\twaiting\t{why}"


def _reasons_to_wait(entry: WaitingEntry) -> Iterator[str]:
    """Yield why an entry waits, and when it is tried next where that is known."""
    if entry.after is not None:
        yield f"after {entry.after}"
        return
    if entry.is_lost:
        yield f"the server answered {entry.fault}: its outcome is not known" if entry.fault else "its answer was lost"
        if entry.due_in:
            yield f"sent again from {_moment(time.time() + entry.due_in, 'seconds')} on unless it is there"
        else:
            yield "looked up when a program opens the outbox"
    else:
        yield "not sent yet"


def _moment(seconds: float, precision: str = "minutes") -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec=precision)


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

    async def work(client: CareCloud) -> None:
        async with client.outbox(path, wait=_WAIT, settle=settle) as outbox:
            try:
                listener = listening(host, port)
            except OSError as error:
                raise UsageError(f"--host {host} --port {port}: {error.strerror}") from None
            app = outbox_app(client, outbox, token=token, seconds=time.monotonic)
            options: dict[str, Any] = {"log_config": None, "log_level": "error", "access_log": False, "lifespan": "off"}
            # Java's client offers HTTP/2 with each request, at which httptools stops reading.
            options |= {"http": "h11", "ws": "none"}
            server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=_GRACE, **options))
            url = url_of(listener)
            say(f"{path}: tills send to {url}/outbox/…, see {url}/docs; Ctrl-C ends it")
            if not is_loopback(host):
                say("other machines can reach it, and the secret travels in the clear: put a TLS proxy in front of it")
            with listener:
                await server.serve([listener])

    connection.run(work, interrupted=lambda: f"stopped; what waits stays in {path}", rate=rate)
    return INTERRUPTED


def _token(file: Path) -> str:
    """Return the secret in a file that only this user can read; a new one is made."""
    if not file.exists():
        with create_private(file) as created:
            created.write(f"{secrets.token_urlsafe(32)}\n".encode())
            created.flush()
            os.fsync(created.fileno())
        say(f"{file}: made, with a new secret for the tills")
    token = file.read_text(encoding="utf-8-sig", errors="replace").strip()  # -sig: Windows editors write a BOM
    if not re.fullmatch(r"[!-~]{16,}", token):
        raise UsageError(f"{file}: a secret is at least 16 ASCII characters without spaces, in one line")
    return token
