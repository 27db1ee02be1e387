"""`carecloud customers`: look at customers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import anyio
import typer

from carecloud_async.cli import connect
from carecloud_async.cli.connect import DEFAULT_LANGUAGE, DEFAULT_TIMEZONE, Connection
from carecloud_async.cli.console import put, say
from carecloud_async.cli.failures import MissingRecordError
from carecloud_async.cli.listings import find, open_listing
from carecloud_async.client import CareCloud
from carecloud_async.errors import NotFoundError

app = typer.Typer(help="Look at customers: one by id, some of them, or how many there are.", no_args_is_help=True)

_PAGE = 1000

_Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="NAME=VALUE", help="Only those that match, such as last_name=Smith; repeatable."),
]


@app.command(short_help="Print one customer as JSON.")
def get(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    sandbox: connect.SandboxSize = None,
    project_url: connect.ProjectUrl = "",
    login: connect.Login = "",
    application_id: connect.ApplicationId = "",
    timezone: connect.Timezone = DEFAULT_TIMEZONE,
    language: connect.Language = DEFAULT_LANGUAGE,
    allow_http: connect.AllowHttp = False,
) -> None:
    """Print one customer as JSON, with every field that the server sends.

    Example: carecloud customers get 8ea6abece4cd0a4ded0a29f093 --sandbox 10
    """

    async def work(client: CareCloud) -> None:
        try:
            record = await client.request("GET", "customers/{customer_id}", path_params={"customer_id": customer_id})
        except NotFoundError:
            raise MissingRecordError(
                f"there is no customer with the id {customer_id}: carecloud customers list shows some"
            ) from None
        put(json.dumps(record, ensure_ascii=False, indent=2).encode() + b"\n")

    _run(work, project_url, login, application_id, timezone, language, allow_http, sandbox)


@app.command("list", short_help="Print customers, one JSON record a line.")
def list_(
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many to print at most.")] = 100,
    offset: Annotated[int, typer.Option(min=0, metavar="N", help="How many to skip.")] = 0,
    filters: _Filters = None,
    sort_field: Annotated[
        str | None, typer.Option(metavar="NAME", help="A first-level field, such as last_change.", show_default=False)
    ] = None,
    sort_direction: Annotated[
        str | None, typer.Option(metavar="ASC|DESC", help="Which way to sort.", show_default=False)
    ] = None,
    sandbox: connect.SandboxSize = None,
    project_url: connect.ProjectUrl = "",
    login: connect.Login = "",
    application_id: connect.ApplicationId = "",
    timezone: connect.Timezone = DEFAULT_TIMEZONE,
    language: connect.Language = DEFAULT_LANGUAGE,
    allow_http: connect.AllowHttp = False,
) -> None:
    """Print customers to stdout, one JSON record a line, with every field that the server sends.

    All of them belong in a file: see carecloud export --help.

    Example: carecloud customers list --count 3 --sort-field last_change --sort-direction DESC --sandbox 100
    """

    async def work(client: CareCloud) -> None:
        listing = open_listing(
            client,
            find("customers"),
            filters or [],
            count=min(count, _PAGE),
            offset=offset,
            sort_field=sort_field,
            sort_direction=sort_direction,
        )
        printed = 0
        async for record in listing.raw():
            put(record + b"\n")
            printed += 1
            if printed == count:
                break
        if not printed:
            say("no customer matches")

    _run(work, project_url, login, application_id, timezone, language, allow_http, sandbox)


@app.command(short_help="Print how many customers there are.")
def total(
    filters: _Filters = None,
    sandbox: connect.SandboxSize = None,
    project_url: connect.ProjectUrl = "",
    login: connect.Login = "",
    application_id: connect.ApplicationId = "",
    timezone: connect.Timezone = DEFAULT_TIMEZONE,
    language: connect.Language = DEFAULT_LANGUAGE,
    allow_http: connect.AllowHttp = False,
) -> None:
    """Print how many customers there are, or how many match the filters.

    Example: carecloud customers total --filter last_name=Smith --sandbox 1000
    """

    async def work(client: CareCloud) -> None:
        listing = open_listing(client, find("customers"), filters or [])
        put(b"%d\n" % await listing.total())

    _run(work, project_url, login, application_id, timezone, language, allow_http, sandbox)


def _run(
    work: Callable[[CareCloud], Awaitable[None]],
    project_url: str,
    login: str,
    application_id: str,
    timezone: str,
    language: str,
    allow_http: bool,
    sandbox: int | None,
) -> None:
    connection = Connection(
        project_url=project_url,
        login=login,
        application_id=application_id,
        timezone=timezone,
        language=language,
        allow_http=allow_http,
        sandbox=sandbox,
    )

    async def connected() -> Any:
        async with connection.open() as client:
            await work(client)

    anyio.run(connected)
