"""`carecloud check`: a first look at a real project; `login` and `logout`: check the credentials, keep the token."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from carecloud_async._calls.auth.token import LoggedIn
from carecloud_async.cli.connect import Connection, kept_token_files, token_store
from carecloud_async.cli.console import put
from carecloud_async.cli.failures import FAILED
from carecloud_async.cli.parameters import expands_options, option
from carecloud_async.cli.reports import prepare_report, write_report
from carecloud_async.client import CareCloud


@expands_options
def check(
    connection: Connection,
    report: str | None = option("FILE", "Write the findings to FILE as JSON, to attach to an issue; - is stdout."),
    seconds: float = option("N", "Stop after N seconds.", default=120.0),
) -> int:
    """Check how a project behaves before you rely on it.

    The check only reads, with at most sixty requests. Each finding is ok, a warning, a problem or not known, with what
    it means and the fix. The report holds no id, name or value of a record, no address and no credentials. The exit
    code is 1 if there is a problem; what is not known is none.

    Example: carecloud check --report check.json --sandbox 1000
    """
    prepare_report(report)
    checked = connection.run(lambda client: client.check(seconds=seconds), logs_in="first")
    if report != "-":
        write_report("-", f"{checked}\n")
    write_report(report, checked.to_json())
    return 0 if checked.ok else FAILED


@expands_options
def login(connection: Connection) -> None:
    """Log in to check the credentials, and print the user and the end of the token.

    The token is kept in a private folder of yours, and the commands that follow use it until `carecloud logout`.

    Example: carecloud login --project-url acme.crmcarecloud.com --login api_user
    """

    async def work(client: CareCloud) -> tuple[LoggedIn, str, ZoneInfo]:
        return await client.login(), client.project.host, client.project.timezone

    store = None if connection.sandbox is not None else token_store()
    logged_in, host, zone = connection.run(work, token_store=store, logs_in="first")
    put(f"{who(logged_in)} on {host}, {until(logged_in.valid_to, zone=zone)}\n".encode())


@expands_options
def logout(connection: Connection) -> None:
    """End the token that `carecloud login` kept, at the server and in the folder.

    Example: carecloud logout --project-url acme.crmcarecloud.com --login api_user
    """
    before = kept_token_files()
    if connection.sandbox is None and not before:
        put(b"no token is kept\n")
        return
    connection.run(lambda client: client.logout(), logs_in="never")
    if connection.sandbox is None and kept_token_files() == before:
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
