"""`carecloud list`, `get` and `total`: look at the records of any resource."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from typing import Annotated, Literal

import anyio
import typer

from carecloud_async._lists.export.formats.jsonl import join_lines
from carecloud_async._lists.export.formats.schema import Selection, read_fields
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import put, say
from carecloud_async.cli.failures import MissingRecordError
from carecloud_async.cli.filters import split_fields
from carecloud_async.cli.parameters import (
    AllowUnknown,
    Fields,
    Filters,
    Of,
    Resource,
    complete_list,
    complete_record,
    expands_options,
)
from carecloud_async.cli.resources import find_list, find_record, list_names, open_listing, record_path_values
from carecloud_async.cli.signals import exits_at_once
from carecloud_async.errors import NotFoundError

__all__ = ["get", "list_", "print_json", "total"]

_PAGE = 1000
_PRINTED = 100


@expands_options
def get(
    connection: Connection,
    resource: Annotated[
        str,
        typer.Argument(
            metavar="RESOURCE",
            help="Such as customers, or customers.addresses with --of.",
            autocompletion=complete_record,
        ),
    ],
    record_id: Annotated[str | None, typer.Argument(metavar="ID", help="The record's id.")] = None,
    of: Of = None,
) -> None:
    """Print one record as JSON, with every field that the server sends.

    Example: carecloud get customers 8ea6abece4cd0a4ded0a29f093 --sandbox 10
    """
    operation = find_record(resource)
    values = record_path_values(operation, of or [], record_id)

    async def work() -> object:
        async with connection.open() as client:
            try:
                return await client.request("GET", operation.path, path_params=values)
            except NotFoundError:
                raise MissingRecordError(
                    f"there is no record with the id {record_id} in {resource}: carecloud list {resource} shows some"
                ) from None

    print_json(anyio.run(work))


@expands_options
def list_(
    connection: Connection,
    resource: Annotated[
        str | None,
        typer.Argument(
            metavar="RESOURCE",
            help="Such as cards, or customers.cards with --of; without it, the names are printed.",
            autocompletion=complete_list,
        ),
    ] = None,
    of: Of = None,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Print at most N records.")] = _PRINTED,
    offset: Annotated[int, typer.Option(min=0, metavar="N", help="Skip the first N records.")] = 0,
    filters: Filters = None,
    sort_field: Annotated[
        str | None, typer.Option(metavar="NAME", help="A first-level field, such as last_change.")
    ] = None,
    sort_direction: Annotated[
        Literal["ASC", "DESC"] | None,
        typer.Option(metavar="ASC|DESC", case_sensitive=False, help="Ascending or descending."),
    ] = None,
    fields: Fields = None,
    allow_unknown: AllowUnknown = False,
) -> None:
    """Print records to stdout, one JSON record a line. Without RESOURCE, print the names of all resources.

    To write all records to a file, use carecloud export.

    Example: carecloud list customers --count 3 --sort-field last_change --sort-direction desc --sandbox 100
    """
    if resource is None:
        put("".join(f"{name}\n" for name in list_names()).encode())
        return
    operation = find_list(resource)
    wanted = None if fields is None else split_fields(fields)

    async def work() -> int:
        async with connection.open() as client:
            listing = open_listing(
                client,
                operation,
                of=of or [],
                filters=filters or [],
                allow_unknown=allow_unknown,
                count=min(count, _PAGE),
                offset=offset or None,
                sort_field=sort_field,
                sort_direction=sort_direction,
            )
            selection = read_fields(wanted, listing.export_source().into, allow_unknown=allow_unknown)
            return await _print_records(listing.raw(), count, selection)

    with exits_at_once("interrupted"):
        printed = anyio.run(work)
    if not printed:
        say("no record matches")
    elif printed == count == _PRINTED:
        say(f"stopped after {_PRINTED} records: --count N prints up to N, and carecloud total says how many there are")


@expands_options
def total(
    connection: Connection,
    resource: Resource,
    of: Of = None,
    filters: Filters = None,
    allow_unknown: AllowUnknown = False,
) -> None:
    """Print how many records there are, or how many match the filters.

    Example: carecloud total customers --filter last_name=Smith --sandbox 1000
    """
    operation = find_list(resource)

    async def work() -> int:
        async with connection.open() as client:
            listing = open_listing(client, operation, of=of or [], filters=filters or [], allow_unknown=allow_unknown)
            return await listing.total()

    put(b"%d\n" % anyio.run(work))


async def _print_records(records: AsyncIterable[bytes], most: int, fields: Selection) -> int:
    """Print at most this many records, one a line, and return how many there were."""
    printed = 0
    async for record in records:
        put(join_lines([record], fields))
        printed += 1
        if printed == most:
            break
    return printed


def print_json(value: object) -> None:
    """Print a JSON value for people, in UTF-8."""
    put(json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n")
