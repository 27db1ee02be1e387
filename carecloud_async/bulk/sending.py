"""Send what rows ask for, one request or one batch at a time, and say what became of each row.

A failure is never a row's fault where the same request may succeed later: it is repeated, and in the end it stops the
run. A lost answer leaves a row in doubt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeGuard, TypeVar

from carecloud_async.bulk.batches import send_batch
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

__all__ = ["RowSender"]

T = TypeVar("T")

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
        try:
            return await self._repeated(lambda: self._send(plan))
        except CareCloudError as error:
            if error.may_have_happened:
                return None
            outcome = _judge(error, plan)
            if outcome is None:
                raise
            return outcome

    async def send_batch(self, plans: Mapping[int, Plan], note: Callable[[int, RowResult | None], None]) -> None:
        """Send records to the batch endpoint, in parts where some are refused.

        Args:
            plans: what is sent, by the number of the row.
            note: called for each row with what became of it, `None` if that is in doubt. Rows that it was not called
                for when this raises were certainly not written.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        batch = self._target.batch
        assert batch is not None  # noqa: S101  (plans for a batch are made only where there is one)

        def note_rows(numbers: Sequence[int], error: CareCloudError | None) -> None:
            for number in numbers:
                plan = plans[number]
                in_doubt = error is not None and error.may_have_happened
                note(number, None if in_doubt else _done(plan) if error is None else _judge(error, plan))

        await send_batch(
            {number: plan.body for number, plan in plans.items()},
            send=lambda bodies: self._repeated(lambda: batch(bodies)),
            is_refusal=_is_about_the_row,
            note=note_rows,
        )

    async def _send(self, plan: Plan) -> RowResult:
        target = self._target
        if plan.kind == "create" and target.create is not None:
            record_id = await target.create(plan.body["record"], plan.body["beside"])
            return RowResult(outcome=Outcome.CREATED, record_id=record_id)
        assert target.update is not None  # noqa: S101  (plans for updates are made only where there is a PUT)
        assert plan.record_id is not None  # noqa: S101  (as above)
        await target.update(plan.record_id, plan.body)
        return _done(plan)

    async def _repeated(self, request: Callable[[], Awaitable[T]]) -> T:
        """Make a request; repeat it while it fails for a time and has certainly done nothing."""
        for attempt in range(1, ATTEMPTS + 1):
            self._on_request(1)
            try:
                return await request()
            except CareCloudError as error:
                passes = error.is_retryable and not error.may_have_happened and not _is_about_the_row(error)
                if not passes or attempt == ATTEMPTS:
                    raise
            self._on_retry()
            await self._target.clock.sleep(min(2.0 ** (attempt - 1), LONGEST_WAIT))
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)


def _done(plan: Plan) -> RowResult:
    outcome = Outcome.UPDATED if plan.base is not None else Outcome.CREATED
    return RowResult(outcome=outcome, record_id=plan.record_id, changed_fields=plan.changed)


def _is_about_the_row(error: CareCloudError) -> TypeGuard[ApiError]:
    return isinstance(error, ApiError) and not isinstance(error, _NOT_THE_ROW)


def _reason(param: InvalidParam) -> str:
    """Say why a row was refused. Some servers send the position of an entry in place of the field's name."""
    named = f"{param.name}: {param.reason}"
    return f"the server does not name the field: {param.reason}" if param.name.isdecimal() else named


def _judge(error: CareCloudError, plan: Plan) -> RowResult | None:
    """Return the outcome of a row that the server refused, or `None` if the failure is not about the row."""
    if not _is_about_the_row(error):
        return None
    if isinstance(error, BadRequestError) and error.invalid_params:
        result = refused(*map(_reason, error.invalid_params))
    elif isinstance(error, NotFoundError) and plan.record_id is not None:
        result = RowResult(outcome=Outcome.CONFLICT, reasons=("the record is gone",))
    else:
        result = refused(f"the server refused it with {error.status} {error.exception or ''}".rstrip())
    return RowResult(outcome=result.outcome, record_id=plan.record_id, reasons=result.reasons)
