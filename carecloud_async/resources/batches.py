"""Batches: the number of rows that the API takes, and what was written by a batch that was refused in part."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Coroutine, Mapping, Sized
from typing import Any, Final, TypeVar, Unpack

from attrs import frozen

from carecloud_async.bulk.family import MAX_BATCH
from carecloud_async.errors import BadRequestError, ConfigurationError, InvalidParam
from carecloud_async.models.enums import ErrorProcessing
from carecloud_async.resources.declare import Options, posts

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])

#: The number of a row in the name of an invalid parameter, such as `products.3.name` or `products[3]`.
_ROW: Final = re.compile(r"(?:^|[.\[])(\d{1,4})(?=$|[.\]])")


@frozen(kw_only=True)
class BatchReport:
    """What the server said of a batch that kept its valid rows and refused others: `error.report` of the error.

    How the server names rows is not documented. Where `unnamed` is empty, the rows that are not in `refused` were
    written.
    """

    rows: int
    """Number of rows that were sent."""
    refused: Mapping[int, tuple[InvalidParam, ...]]
    """The faults of each row that the server names, by the row's number from 0."""
    unnamed: tuple[InvalidParam, ...]
    """Faults that name no row."""


def batches(operation_id: str, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
    """Declare a batch: a POST of 1 to 1,000 rows, which are the method's first argument."""
    options["check"] = check_rows
    post = posts(operation_id, path, **options)
    return lambda function: reporting(post(function))


def reporting(ask: F) -> F:
    """Let a declared batch say what it did to the other rows, where it was refused and kept the valid ones."""
    rows_name = ask.declared.signature.record_argument  # type: ignore[attr-defined]

    @functools.wraps(ask)
    async def batch(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            await ask(self, *args, **kwargs)
        except BadRequestError as error:
            if kwargs.get("error_processing") == ErrorProcessing.KEEP_VALID:
                error.may_have_happened = True
                error.report = _report(error, rows=len(args[0] if args else kwargs[rows_name]))
            raise

    return batch  # type: ignore[return-value]


def check_rows(_: Any, values: Mapping[str, Any]) -> None:
    """Check that the first argument holds 1 to 1,000 rows; for `check=` of an operation.

    Raises:
        ConfigurationError: it does not.
    """
    name, rows = next(iter(values.items()))
    if not isinstance(rows, Sized) or isinstance(rows, str | bytes | Mapping):
        raise ConfigurationError(f"{name} must be a list of rows")
    if not 1 <= len(rows) <= MAX_BATCH:
        raise ConfigurationError(f"{name} must hold 1 to {MAX_BATCH:,} rows, not {len(rows):,}: send them in parts")


def _report(error: BadRequestError, *, rows: int) -> BatchReport:
    refused: dict[int, tuple[InvalidParam, ...]] = {}
    unnamed = []
    for param in error.invalid_params:
        match = _ROW.search(param.name)
        number = int(match[1]) if match else rows
        if number < rows:
            refused[number] = (*refused.get(number, ()), param)
        else:
            unnamed.append(param)
    return BatchReport(rows=rows, refused=refused, unnamed=tuple(unnamed))
