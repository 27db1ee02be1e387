"""Send what rows ask for, one request or one batch at a time, and say what became of each row.

A failure is never a row's fault where the same request may succeed later: it is repeated, and in the end it stops the
run. A lost answer leaves a row in doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import BulkTarget
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)

__all__ = ["RowSender"]

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
        on_request: called for each request.
        on_retry: called for each repeated one.
    """

    def __init__(self, target: BulkTarget, *, on_request: Callable[[int], None], on_retry: Callable[[], None]) -> None:
        self._target = target
        self._on_request = on_request
        self._on_retry = on_retry

    async def send(self, plan: Plan) -> RowResult | None:
        """Send one write; return what became of the row, or `None` if that is in doubt.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self._on_request(1)
            try:
                return await self._send(plan)
            except CareCloudError as error:
                if error.may_have_happened:
                    return None
                outcome = _judge(error, plan)
                if outcome is not None:
                    return outcome
                if not error.is_retryable or attempt == ATTEMPTS:
                    raise
            await self._pause(attempt)
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)

    async def send_batch(
        self, plans: Mapping[int, Plan], note: Callable[[int, RowResult | None], None], *, hinted: bool = True
    ) -> None:
        """Send records to the batch endpoint, in parts where some are refused.

        The endpoint takes all or none, so that a success is a verdict for every row. A refused batch is sent again in
        parts until the rows at fault stand alone; what the server says of a refused batch only guides the search.

        Args:
            plans: what is sent, by the number of the row.
            note: called for each row with what became of it, `None` if that is in doubt. Rows that it was not called
                for when this raises were certainly not written.
            hinted: whether the rows that the server names stand alone next.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        send = self._target.batch
        assert send is not None  # noqa: S101  (plans for a batch are made only where there is one)
        for attempt in range(1, ATTEMPTS + 1):
            self._on_request(1)
            try:
                await send([plan.body for plan in plans.values()])
            except CareCloudError as error:
                if error.may_have_happened:
                    for number in plans:
                        note(number, None)
                    return
                outcome = _judge(error, next(iter(plans.values())))
                if outcome is not None:
                    if len(plans) == 1:
                        note(next(iter(plans)), outcome)
                        return
                    for part in (_named(error, [*plans]) if hinted else None) or _halves([*plans]):
                        await self.send_batch({number: plans[number] for number in part}, note, hinted=False)
                    return
                if not error.is_retryable or attempt == ATTEMPTS:
                    raise
            else:
                for number, plan in plans.items():
                    note(number, _done(plan))
                return
            await self._pause(attempt)

    async def _send(self, plan: Plan) -> RowResult:
        target = self._target
        if plan.kind == "create" and target.create is not None:
            record_id = await target.create(plan.body["record"], plan.body["beside"])
            return RowResult(outcome=Outcome.CREATED, record_id=record_id)
        assert target.update is not None  # noqa: S101  (plans for updates are made only where there is a PUT)
        assert plan.record_id is not None  # noqa: S101  (as above)
        await target.update(plan.record_id, plan.body)
        return _done(plan)

    async def _pause(self, attempt: int) -> None:
        self._on_retry()
        await self._target.clock.sleep(min(2.0 ** (attempt - 1), LONGEST_WAIT))


def _done(plan: Plan) -> RowResult:
    outcome = Outcome.UPDATED if plan.base is not None else Outcome.CREATED
    return RowResult(outcome=outcome, record_id=plan.record_id, changed_fields=plan.changed)


def _judge(error: CareCloudError, plan: Plan) -> RowResult | None:
    """Return the outcome of a row that the server refused, or `None` if the failure is not about the row."""
    if not isinstance(error, ApiError) or isinstance(error, _NOT_THE_ROW):
        return None
    if isinstance(error, BadRequestError) and error.invalid_params:
        result = refused(*(f"{one.name}: {one.reason}" for one in error.invalid_params))
    elif isinstance(error, NotFoundError) and plan.record_id is not None:
        result = RowResult(outcome=Outcome.CONFLICT, reasons=("the record is gone",))
    else:
        result = refused(f"the server refused it with {error.status} {error.exception or ''}".rstrip())
    return RowResult(outcome=result.outcome, record_id=plan.record_id, reasons=result.reasons)


def _named(error: CareCloudError, numbers: Sequence[int]) -> list[list[int]] | None:
    """Split off the rows whose places stand in the names of invalid parameters, such as `products[3].name`."""
    params = error.invalid_params if isinstance(error, ApiError) else ()
    places = {int(text) for one in params for text in re.findall(r"\d{1,4}", one.name)}
    named = [numbers[place] for place in sorted(places) if place < len(numbers)]
    if not named or len(named) == len(numbers):
        return None
    return [*([number] for number in named), [number for number in numbers if number not in set(named)]]


def _halves(numbers: Sequence[int]) -> list[list[int]]:
    middle = len(numbers) // 2
    return [[*numbers[:middle]], [*numbers[middle:]]]
