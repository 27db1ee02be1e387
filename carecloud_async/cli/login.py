"""`carecloud login`: check the credentials and keep the token; `carecloud logout`: end it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import anyio

from carecloud_async._calls.auth.token import LoggedIn
from carecloud_async.cli.connect import Connection, kept_records, token_store
from carecloud_async.cli.console import put
from carecloud_async.cli.parameters import expands_options


@expands_options
def login(connection: Connection) -> None:
    """Log in to check the credentials, and print the user and the end of the token.

    The token is kept in a private folder of yours, and the commands that follow use it until `carecloud logout`.

    Example: carecloud login --project-url acme.crmcarecloud.com --login api_user
    """

    async def work() -> tuple[LoggedIn, str, ZoneInfo]:
        store = None if connection.sandbox is not None else token_store()
        async with connection.open(token_store=store, asks="first") as client:
            return await client.login(), client.project.host, client.project.timezone

    logged_in, host, zone = anyio.run(work)
    put(f"{who(logged_in)} on {host}, {until(logged_in.valid_to, zone=zone)}\n".encode())


@expands_options
def logout(connection: Connection) -> None:
    """End the token that `carecloud login` kept, at the server and in the folder.

    Example: carecloud logout --project-url acme.crmcarecloud.com --login api_user
    """

    async def work() -> None:
        async with connection.open(asks="never") as client:
            await client.logout()

    before = kept_records()
    if connection.sandbox is None and not before:
        put(b"no token is kept\n")
        return
    anyio.run(work)
    if connection.sandbox is None and kept_records() == before:
        put(b"no token of this user is kept for this project\n")
        return
    put(b"logged out\n")


def who(logged_in: LoggedIn) -> str:
    """Return the user who is logged in, as far as the server names it."""
    user = logged_in.user
    if user is None:
        return "logged in"
    name = " ".join(part for part in (user.first_name, user.last_name) if part)
    known = [part for part in (user.login, f"({name})" if name else None) if part]
    return f"logged in as {' '.join(known) or user.user_id or 'an unnamed user'}"


def until(end: datetime | None, *, zone: ZoneInfo, now: datetime | None = None) -> str:
    """Return until when a token is valid, in words."""
    if end is None:
        return "for as long as the server likes"
    hours = (end - (now or datetime.now(UTC))).total_seconds() / 3600
    return f"until {end.astimezone(zone):%Y-%m-%d %H:%M} {zone.key} ({hours:.1f} hours from now)"
