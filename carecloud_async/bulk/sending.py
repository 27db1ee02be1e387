"""Send the writes of rows, one request or one batch at a time, and return the outcome of each row.

A failure after which the same request may succeed is not the fault of a row: the request is repeated, and the last
failure stops the run. A lost answer leaves a row in doubt.

The API does not document how it names the rows at fault of a refused batch, so each outcome comes from a request of its
own: a batch that was accepted, or a row that was refused alone. A refused batch is sent again in parts until the rows
at fault are alone; the names in the server's answer only guide the search.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeGuard, TypeVar

import attrs

from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import BulkTarget
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    InvalidParam,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)

__all__ = ["RowSender", "send_batch"]

T = TypeVar("T")
R = TypeVar("R")

#: Attempts at a request that fails without having done anything, and the longest wait between two (seconds).
ATTEMPTS: Final = 7
LONGEST_WAIT: Final = 30.0

#: Refusals that are about the client and not about the row.
_NOT_THE_ROW: Final = (
    AuthenticationError, PermissionDeniedError, MethodNotAllowedError, RateLimitError, ServerError
)  # fmt: skip


class RowSender:
    """Sends the writes of one run.

    Args:
        target: the family.
        on_retry: called for each repeated request.
    """

    def __init__(self, target: BulkTarget, *, on_retry: Callable[[], None]) -> None:
        self._target = target
        self._on_retry = on_retry

    async def send(self, plans: Mapping[int, Plan], note: Callable[[int, RowResult | None], None]) -> None:
        """Send one write, or records to the batch endpoint, these in parts if some are refused.

        Args:
            plans: what is sent, by the number of the row: one plan, or plans for the batch endpoint.
            note: called for each row with its outcome, `None` if that is in doubt. If this raises a `CareCloudError`,
                rows for which it was not called were certainly not written.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        batch = self._target.batch
        if batch is None or any(plan.kind != "batch" for plan in plans.values()):
            for number, plan in plans.items():
                note(number, await self._send_one(plan))
            return

        def note_rows(numbers: Sequence[int], error: CareCloudError | None) -> None:
            for number in numbers:
                plan = plans[number]
                in_doubt = error is not None and error.may_have_happened
                note(number, None if in_doubt else plan.result if error is None else _refusal(error, plan))

        await send_batch(
            {number: plan.body for number, plan in plans.items()},
            send=lambda bodies: self._repeated(lambda: batch(bodies)),
            is_refusal=_is_about_the_row,
            note=note_rows,
        )

    async def _send_one(self, plan: Plan) -> RowResult | None:
        try:
            return await self._repeated(lambda: self._request(plan))
        except CareCloudError as error:
            if error.may_have_happened:
                return None
            result = _refusal(error, plan)
            if result is None:
                raise
            return result

    async def _request(self, plan: Plan) -> RowResult:
        target = self._target
        if plan.kind == "create" and target.create is not None:
            record_id = await target.create(plan.body["record"], plan.body["create_fields"])
            return attrs.evolve(plan.result, record_id=record_id)
        assert target.update is not None  # noqa: S101  (plans for updates are made only where there is a PUT)
        assert plan.record_id is not None  # noqa: S101  (as above)
        await target.update(plan.record_id, plan.body)
        return plan.result

    async def _repeated(self, request: Callable[[], Awaitable[T]]) -> T:
        """Make a request; repeat it after failures that pass, if it certainly did nothing."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await request()
            except CareCloudError as error:
                may_repeat = error.is_retryable and not error.may_have_happened and not _is_about_the_row(error)
                if not may_repeat or attempt == ATTEMPTS:
                    raise
            self._on_retry()
            await self._target.clock.sleep(min(2.0 ** (attempt - 1), LONGEST_WAIT))
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)


def _is_about_the_row(error: CareCloudError) -> TypeGuard[ApiError]:
    return isinstance(error, ApiError) and not isinstance(error, _NOT_THE_ROW)


def _reason(param: InvalidParam) -> str:
    """Say why a row was refused. Some servers send the position of an entry in place of the field's name."""
    named = f"{param.name}: {param.reason}"
    return f"the server does not name the field: {param.reason}" if param.name.isdecimal() else named


def _refusal(error: CareCloudError, plan: Plan) -> RowResult | None:
    """Return the outcome of a row that the server refused, or `None` if the failure is not about the row."""
    if not _is_about_the_row(error):
        return None
    if isinstance(error, BadRequestError) and error.invalid_params:
        result = refused(*map(_reason, error.invalid_params))
    elif isinstance(error, NotFoundError) and plan.record_id is not None:
        result = RowResult(outcome=Outcome.CONFLICT, reasons=("the record is gone",))
    else:
        result = refused(f"the server refused it with {error.status} {error.exception or ''}".rstrip())
    return attrs.evolve(result, record_id=plan.record_id)


async def send_batch(
    rows: Mapping[int, R],
    *,
    send: Callable[[Sequence[R]], Awaitable[None]],
    is_refusal: Callable[[CareCloudError], bool],
    note: Callable[[Sequence[int], CareCloudError | None], None],
    hinted: bool = True,
) -> None:
    """Send a batch, in parts where some of its rows are refused.

    Args:
        rows: the rows by their numbers.
        send: sends rows in one request. It must undo a request that is refused.
        is_refusal: whether an error is about the rows; another one ends the search.
        note: called for each row once, with the numbers of rows and what became of them: `None` if they are written, an
            error that `may_have_happened` if the answer was lost, else the refusal of one row.
        hinted: whether the rows that the server names are sent alone next.

    Raises:
        CareCloudError: an error that is not about the rows. Those that `note` was not called for are not written.
    """
    numbers = [*rows]
    try:
        await send([*rows.values()])
    except CareCloudError as error:
        if error.may_have_happened or (len(rows) == 1 and is_refusal(error)):
            note(numbers, error)
            return
        if not is_refusal(error):
            raise
        parts = (_named(error, numbers) if hinted else None) or _halves(numbers)
    else:
        note(numbers, None)
        return
    for part in parts:
        some = {number: rows[number] for number in part}
        await send_batch(some, send=send, is_refusal=is_refusal, note=note, hinted=False)


def _named(error: CareCloudError, numbers: Sequence[int]) -> list[Sequence[int]] | None:
    """Split off the rows whose positions the names of invalid parameters have, such as `products[3].name`."""
    params = error.invalid_params if isinstance(error, ApiError) else ()
    positions = {int(text) for one in params for text in re.findall(r"\d{1,4}", one.name)}
    named = [numbers[one] for one in sorted(positions) if one < len(numbers)]
    if not named or len(named) == len(numbers):
        return None
    return [*([number] for number in named), [number for number in numbers if number not in set(named)]]


def _halves(numbers: Sequence[int]) -> list[Sequence[int]]:
    middle = len(numbers) // 2
    return [numbers[:middle], numbers[middle:]]
