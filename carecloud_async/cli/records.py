"""`carecloud list`, `get` and `total`: look at the records of any resource; `request`: any call of the API."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.export.formats.jsonl import join_lines
from carecloud_async._lists.export.formats.schema import read_fields
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import exits_at_once, put, say
from carecloud_async.cli.failures import MissingRecordError, UsageError, nearest
from carecloud_async.cli.lists import (
    RESOURCE,
    ListOptions,
    complete_list,
    complete_path,
    complete_record,
    find_record,
    list_names,
    read_values,
    record_path_values,
    split_fields,
)
from carecloud_async.cli.parameters import ALLOW_UNKNOWN, FIELDS, OF, argument, expands_options, flag, option
from carecloud_async.client import CareCloud
from carecloud_async.errors import NotFoundError
from carecloud_async.resources.lookup.by_path import find

_PAGE = 1000
_PRINTED = 100


@expands_options
def get(
    connection: Connection,
    resource: str = argument(
        "RESOURCE", "Such as customers, or customers.addresses with --of.", autocompletion=complete_record
    ),
    record_id: str | None = argument("ID", "The record's id.", default=None),
    of: list[str] | None = OF,
) -> None:
    """Print one record as JSON, with every field that the server sends.

    Example: carecloud get customers 8ea6abece4cd0a4ded0a29f093 --sandbox 10
    """
    operation = find_record(resource)
    values = record_path_values(operation, of or [], record_id)

    async def work(client: CareCloud) -> object:
        try:
            return await client.request("GET", operation.path, path_params=values)
        except NotFoundError:
            which = f"record with the id {record_id} in {resource}" if record_id else resource
            shows = f": carecloud list {resource} shows some" if record_id else ""
            raise MissingRecordError(f"there is no {which}{shows}") from None

    print_json(connection.run(work))


@expands_options
def list_(
    connection: Connection,
    source: ListOptions,
    resource: str | None = argument(
        "RESOURCE",
        "Such as cards, or customers.cards with --of; without it, the names are printed.",
        autocompletion=complete_list,
        default=None,
    ),
    count: int | None = option("N", "Print at most N records; by default 100.", min=1),
    offset: int = option("N", "Skip the first N records.", min=0, default=0),
    sort_field: str | None = option("NAME", "A first-level field, such as last_change."),
    sort_direction: Literal["ASC", "DESC"] | None = option(
        "ASC|DESC", "Ascending or descending.", case_sensitive=False
    ),
    fields: str | None = FIELDS,
    allow_unknown: bool = ALLOW_UNKNOWN,
) -> None:
    """Print records to stdout, one JSON record a line. Without RESOURCE, print the names of all resources.

    To write all records to a file, use carecloud export.

    Example: carecloud list customers --count 3 --sort-field last_change --sort-direction desc --sandbox 100
    """
    if resource is None:
        put("".join(f"{name}\n" for name in list_names()).encode())
        return
    operation = source.find(resource)
    wanted = None if fields is None else split_fields(fields)
    asked = count or _PRINTED + 1  # one more than is printed shows whether there are more

    async def work(client: CareCloud) -> int:
        listing = source.listing(
            client,
            operation,
            allow_unknown=allow_unknown,
            count=min(asked, _PAGE),
            offset=offset or None,
            sort_field=sort_field,
            sort_direction=sort_direction,
        )
        selection = read_fields(wanted, listing.export_source().into, allow_unknown=allow_unknown)
        seen = 0
        async for record in listing.raw():
            seen += 1
            if seen <= (count or _PRINTED):
                put(join_lines([record], selection))
            if seen == asked:
                break
        return seen

    with exits_at_once("interrupted"):
        seen = connection.run(work)
    if not seen:
        say("no record matches")
    elif count is None and seen > _PRINTED:
        say(f"stopped after {_PRINTED} records: --count N prints up to N, and carecloud total says how many there are")


@expands_options
def total(
    connection: Connection,
    source: ListOptions,
    resource: str = RESOURCE,
    allow_unknown: bool = ALLOW_UNKNOWN,
) -> None:
    """Print how many records there are, or how many match the filters.

    Example: carecloud total customers --filter last_name=Smith --sandbox 1000
    """
    operation = source.find(resource)
    total = connection.run(lambda client: source.listing(client, operation, allow_unknown=allow_unknown).total())
    put(b"%d\n" % total)


def print_json(value: object) -> None:
    """Print a JSON value for people, in UTF-8."""
    put(json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n")


@expands_options
def request(
    connection: Connection,
    method: str = argument("METHOD", "GET, HEAD, POST, PUT, PATCH or DELETE."),
    path: str = argument(
        "PATH",
        "Path below the version, such as cards or customers/ID/cards.",
        autocompletion=complete_path,
    ),
    params: list[str] | None = option(
        "NAME=VALUE", "Query parameter; may be repeated, also for several values.", "--param"
    ),
    body: str | None = option("FILE", "File with the JSON body; - reads stdin."),
    allow_unknown: bool = flag("Send query parameters that the SDK does not know.", "--allow-unknown"),
) -> None:
    """Send any request to the API, and print the data of the answer as JSON.

    Example: carecloud request GET cards --param count=5 --sandbox 10
    """
    operation, values = find(method, path, path_params=None, safe_to_repeat=None)
    query = _read_params(operation, params or [], allow_unknown=allow_unknown)
    content = None if body is None else _read_body(body)
    is_begun = False

    async def work(client: CareCloud) -> object:
        nonlocal is_begun
        is_begun = True
        return await client.request(
            method, operation.path, path_params=values, params=query, json=content, allow_unknown=allow_unknown
        )

    def interrupted() -> str:
        may_write = is_begun and operation.method not in {"GET", "HEAD"}
        warning = ": if it was sent, it may have been carried out: look before you repeat it"
        return f"interrupted{warning if may_write else ''}"

    print_json(connection.run(work, interrupted=interrupted))


def _read_params(operation: Operation, params: Iterable[str], *, allow_unknown: bool) -> Mapping[str, Any]:
    """Read the query.

    Raises:
        UsageError: a known operation does not have a parameter; the API would ignore it.
    """

    def refuse(name: str) -> None:
        if operation.operation_id and not allow_unknown:
            known = nearest(name, operation.parameters) if operation.parameters else "it has none"
            raise UsageError(f"{operation.title} has no parameter {name!r}: {known}; --allow-unknown sends it")

    return read_values(params, operation.kinds, refuse, option="--param", example="count=5")


def _read_body(name: str) -> Any:
    text = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        return json.loads(text, parse_float=Decimal)  # sent with the digits of the file
    except ValueError as error:  # broken JSON, or not UTF-8
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"--body {name}: it is not JSON{where}") from None
