"""`carecloud login`: check the credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import anyio

from carecloud_async.auth.token import LoggedIn
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import put
from carecloud_async.cli.options import expands_options


@expands_options
def login(connection: Connection) -> None:
    """Log in to check the credentials, and print the user and the end of the token.

    The token is not kept: each command logs in by itself.

    Example: carecloud login --project-url acme.crmcarecloud.com --login api_user
    """

    async def work() -> tuple[LoggedIn, str, ZoneInfo]:
        async with connection.open() as client:
            return await client.login(), client.project.host, client.project.timezone

    logged_in, host, zone = anyio.run(work)
    put(f"{who(logged_in)} on {host}, {until(logged_in.valid_to, zone=zone)}\n".encode())


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
