"""`carecloud request`: any call of the API."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from carecloud_async._calls.call.operation import Operation
from carecloud_async.cli.connect import Connection
from carecloud_async.cli.console import INTERRUPTED, say
from carecloud_async.cli.failures import UsageError, nearest
from carecloud_async.cli.filters import read_pairs, read_value
from carecloud_async.cli.parameters import complete_path, expands_options
from carecloud_async.cli.records import print_json
from carecloud_async.resources.lookup.adhoc import find

__all__ = ["request"]


@expands_options
def request(
    connection: Connection,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, HEAD, POST, PUT, PATCH or DELETE.")],
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="Path below the version, such as cards or customers/ID/cards.",
            autocompletion=complete_path,
        ),
    ],
    params: Annotated[
        list[str] | None,
        typer.Option(
            "--param", metavar="NAME=VALUE", help="Query parameter; may be repeated, also for several values."
        ),
    ] = None,
    body: Annotated[
        str | None,
        typer.Option("--body", metavar="FILE", help="File with the JSON body; - reads stdin."),
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Send query parameters that the SDK does not know.")
    ] = False,
) -> int:
    """Send any request to the API, and print the data of the answer as JSON.

    Example: carecloud request GET cards --param count=5 --sandbox 10
    """
    operation, values = find(method, path, path_params=None, safe_to_repeat=None)
    query = _read_params(operation, params or [], allow_unknown=allow_unknown)
    content = None if body is None else _read_body(body)
    is_begun = False

    async def work() -> object:
        nonlocal is_begun
        async with connection.open() as client:
            is_begun = True
            return await client.request(
                method,
                operation.path,
                path_params=values,
                params=query,
                json=content,
                allow_unknown=allow_unknown,
            )

    try:
        answer = anyio.run(work)
    except KeyboardInterrupt:
        if not is_begun or operation.method in {"GET", "HEAD"}:
            raise
        say("interrupted: if it was sent, it may have been carried out: look before you repeat it")
        return INTERRUPTED
    print_json(answer)
    return 0


def _read_params(operation: Operation, params: Iterable[str], *, allow_unknown: bool) -> Mapping[str, Any]:
    """Read the query.

    Raises:
        UsageError: a known operation does not have a parameter; the API would ignore it.
    """
    query: dict[str, Any] = {}
    for name, texts in read_pairs(params, option="--param", example="count=5").items():
        kind = operation.kinds.get(name)
        if kind is not None:
            query[name] = read_value(f"--param {name}", texts, kind)
            continue
        if operation.operation_id and not allow_unknown:
            known = nearest(name, operation.parameters) if operation.parameters else "it has none"
            raise UsageError(f"{operation.title} has no parameter {name!r}: {known}; --allow-unknown sends it")
        query[name] = texts if len(texts) > 1 else texts[0]
    return query


def _read_body(name: str) -> Any:
    text = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        return json.loads(text, parse_float=Decimal)  # which is sent with the digits of the file
    except ValueError as error:  # broken JSON, or not UTF-8
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"--body {name}: it is not JSON{where}") from None
