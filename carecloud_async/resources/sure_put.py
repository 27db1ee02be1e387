"""A PUT that is repeated only after the record was read again: a blind repeat could revert another writer's change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from attrs import evolve, frozen

from carecloud_async._base.codec.json_text import RawJson
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async.errors import CareCloudError, ConflictError
from carecloud_async.resources.merge import MergedRecord
from carecloud_async.resources.signature import no_content

__all__ = ["SurePut"]


@frozen(kw_only=True, repr=False)
class SurePut:
    """The PUT of an update.

    Attributes:
        caller: makes the calls.
        operation: the PUT.
        path_params: the ids in its path.
        merged: what it sends.
        read: reads the current record, not the cached one; `None` if there is no such record.
    """

    caller: Caller
    operation: Operation
    path_params: Mapping[str, str]
    merged: MergedRecord
    read: Callable[[], Awaitable[RawJson | None]]

    async def send(self) -> None:
        """Send the PUT; after a lost answer read the record, and send again if it is unchanged.

        Raises:
            ConflictError: an answer was lost, and the record is neither what was sent nor what it was before.
            CareCloudError: it failed; one with `may_have_happened` may be stored all the same.
        """
        began = self.caller.context.clock.monotonic()
        lost = await self._attempt(self.caller)
        if lost is not None:
            await self._check_and_repeat(lost, began=began)

    async def _attempt(self, caller: Caller) -> CareCloudError | None:
        """Send the PUT, and repeat it only if it certainly was not sent; return the error of a lost answer."""
        once = evolve(self.operation, safe_to_repeat=False)
        try:
            await caller.call(CallRequest(once, decode=no_content, path_params=self.path_params, json=self.merged.body))
        except CareCloudError as error:
            if not error.may_have_happened:
                raise
            return error
        return None

    async def _check_and_repeat(self, lost: CareCloudError, *, began: float) -> None:
        context, options = self.caller.context, self.caller.options
        ends, sent = began + options.timeout.total, 1
        while True:
            wait = self._wait(lost, sent, left=ends - context.clock.monotonic())
            await context.clock.sleep(wait or 0.0)
            if await self._is_stored(lost):
                return
            left = ends - context.clock.monotonic()
            if wait is None or left <= 0 or not context.budget.try_withdraw():
                raise lost
            bounded = evolve(options, timeout=evolve(options.timeout, total=left))
            try:
                again = await self._attempt(self.caller.with_options(bounded, self.caller.tokens))
            except CareCloudError as refused:
                # This one was refused, but the first one may be stored.
                refused.may_have_happened = True
                if await self._is_stored(refused):
                    return
                raise
            if again is None:
                return
            lost, sent = again, sent + 1

    def _wait(self, lost: CareCloudError, sent: int, *, left: float) -> float | None:
        """Return the seconds to wait before the next attempt, or `None` if there is too little time for another."""
        retry_after = getattr(lost.__cause__ or lost, "retry_after", None)
        failure = Failure(kind=FailureKind.SERVER_ERROR, error=lost, retry_after=retry_after)
        context, policy = self.caller.context, self.caller.options.retry
        wait = policy.decide(failure, attempt=sent, safe_to_repeat=True, random=context.random.random)
        return None if wait is None or wait >= left else wait

    async def _is_stored(self, error: CareCloudError) -> bool:
        """Read the record, and return whether it is as it was sent; otherwise it is unchanged.

        Args:
            error: raised if the record cannot be read.

        Raises:
            ConflictError: the record is neither as it was sent nor unchanged, or it is gone.
        """
        try:
            record = await self.read()
        except CareCloudError as unreadable:
            raise error from unreadable
        if record is not None and self.merged.is_visible and self.merged.is_sent(record):
            return True
        if record is not None and self.merged.is_base(record):
            return False
        raise self._conflict(record) from error

    def _conflict(self, record: RawJson | None) -> ConflictError:
        fields = () if record is None else self.merged.fields_unlike_sent(record)
        now = "gone" if record is None else f"neither what was sent nor what it was before ({', '.join(fields)})"
        conflict = ConflictError(
            f"{self.operation.title}: the answer was lost, and the record is {now}. Read it again and decide what to "
            "change: another writer may have changed it, or the server stores what it was sent in another form",
            fields=fields,
        )
        conflict.may_have_happened = True
        return conflict
