"""`Probe`: sends the requests of a check, counts and measures them, and stops at a bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeAlias

import anyio
from attrs import evolve, field, frozen

from carecloud_async._calls.call.call_errors import server_date
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.events import CallObserver, CallRecord, CallStart
from carecloud_async._calls.call.operation import PAGING, CallRequest, Operation
from carecloud_async._calls.call.retry import RetryPolicy
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async.check.replies import Outcome, Reply, failed_reply, read_reply
from carecloud_async.errors import CareCloudError

__all__ = ["MAX_REQUESTS", "AskedPage", "Param", "Probe", "SentRequest", "ServerTime"]

#: A value of the query of a list.
Param: TypeAlias = str | int | Sequence[str]

#: The most requests of a check, logins and repeats included.
MAX_REQUESTS: Final = 60
#: What one question can send: the request, a login after a 401, and the request again.
_MOST_PER_QUESTION: Final = 3
#: How often a question is repeated after an answer that may pass.
_REPEATS: Final[Mapping[Outcome, int]] = {
    Outcome.RATE_LIMITED: 2,
    Outcome.FAILED: 1,
    Outcome.IN_FRONT: 1,
    Outcome.NO_ANSWER: 1,
    Outcome.NO_CONTENT: 1,
    Outcome.ERROR_AS_SUCCESS: 1,
    Outcome.NOT_THE_LIST: 1,
    Outcome.REFUSED: 1,
}
#: The most repeats of a whole check: a server that fails everywhere must not use up its requests.
_MOST_REPEATS: Final = 16
#: After this many repeats that brought the same outcome again, that outcome is not repeated: the server means it.
_MOST_IN_VAIN: Final = 3
#: The least and the longest wait before a repeat (seconds); a longer `Retry-After` ends the question.
_LEAST_WAIT: Final = 1.0
_MOST_WAIT: Final = 5.0
#: After this many questions in a row that end so, nothing more is sent: each 401 costs a login, the others seconds.
_MOST_IN_A_ROW: Final[Mapping[Outcome, int]] = {
    Outcome.UNAUTHORIZED: 3,
    Outcome.RATE_LIMITED: 3,
    Outcome.NO_ANSWER: 4,
}
_TIMEOUT: Final = Timeout(connect=5, read=20, total=30, limiter=20)


@frozen
class SentRequest:
    """A request that was answered or failed.

    Attributes:
        status: the HTTP status; `None` if no answer came.
        seconds: the time until it had.
    """

    status: int | None
    seconds: float


@frozen
class ServerTime:
    """The server's clock as an answer showed it.

    Attributes:
        date: its `Date`, in UTC.
        host: this host's clock when the answer had come, in UTC.
    """

    date: datetime
    host: datetime


@frozen(eq=False)
class AskedPage:
    """A page that came, without its records.

    Attributes:
        operation: the list.
        params: the query.
        length: the number of its records.
        total: the number of records of the whole list, as the page says it.
    """

    operation: Operation
    params: Mapping[str, Param] = field(repr=False)
    length: int
    total: int | None

    def is_short(self, cap: int) -> bool:
        """Return whether records are missing in it. Filters may count otherwise: a filtered page is never short.

        Args:
            cap: the most records of a page.
        """
        if not self.operation.paged or self.total is None or self.params.keys() - set(PAGING):
            return False
        return self.length < min(_number(self.params, "count"), cap, self.total - _number(self.params, "offset"))


def _number(params: Mapping[str, Param], name: str) -> int:
    value = params.get(name, 0)
    return value if isinstance(value, int) else 0


class Probe(CallObserver):
    """Asks lists for pages; a failure is an answer like any other.

    Args:
        caller: makes the calls.

    Attributes:
        bearer: a token to send in place of the identity's own, which is then not renewed after a 401.
        sent: the requests that have ended.
        pages: the pages that came.
        requests: the number of requests that were begun.
        throttled_bare: the number of 429 without a `Retry-After`.
        throttled_with_wait: the number of 429 with one.
        times: the server's clock, as each answer showed it.
        undated: the number of success answers without a `Date`.
        in_front: the number of answers that something in front of CareCloud gave.
        login_time: the server's clock, as the answer of the last login showed it.
        scope: ends the check at its bounds.
    """

    def __init__(self, caller: Caller) -> None:
        # One request a question: the check repeats by itself, so that it knows what it sends.
        quick = evolve(caller.options, retry=RetryPolicy(attempts=1), timeout=_TIMEOUT)
        self.caller: Caller = caller.with_options(quick, caller.tokens).fresh
        self.bearer: str | None = None
        self.sent: list[SentRequest] = []
        self.pages: list[AskedPage] = []
        self.requests: int = 0
        self.throttled_bare: int = 0
        self.throttled_with_wait: int = 0
        self.times: list[ServerTime] = []
        self.undated: int = 0
        self.in_front: int = 0
        self.login_time: ServerTime | None = None
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self._under_way = 0
        self._last = Outcome.READ
        self._in_a_row = 0
        self._repeats = 0
        self._in_vain: Counter[Outcome] = Counter()
        self._begun: dict[tuple[int, int], float] = {}

    async def ask(self, operation: Operation, **params: Param) -> Reply:
        """Ask for a page; after an answer that may pass, ask again.

        Args:
            operation: the list.
            **params: the query.
        """
        if self._is_hopeless():
            return Reply.unsent()
        reply = await self._ask_again(operation, params, self.bearer)
        if reply.outcome is not Outcome.NOT_SENT:
            self._in_a_row = self._in_a_row + 1 if reply.outcome is self._last else 1
            self._last = reply.outcome
        return reply

    async def ask_with(self, bearer: str, operation: Operation, **params: Param) -> Reply:
        """Ask for a page as `ask` does, with another token than the identity's; a 401 renews nothing.

        Args:
            operation: the list.
            **params: the query.
        """
        return await self._ask_again(operation, params, bearer)

    def has_room(self) -> bool:
        """Return whether one more question fits into the requests of the check."""
        return self.requests + _MOST_PER_QUESTION * (self._under_way + 1) <= MAX_REQUESTS

    async def _ask_again(self, operation: Operation, params: Mapping[str, Param], bearer: str | None) -> Reply:
        reply, repeats = await self._ask_in_bounds(operation, params, bearer), 0
        while self._may_pass(reply, repeats):
            await self.caller.context.clock.sleep(max(reply.retry_after or 0, _LEAST_WAIT))
            again = await self._ask_in_bounds(operation, params, bearer)
            if again.outcome is Outcome.NOT_SENT:
                break
            self._repeats += 1
            self._in_vain[reply.outcome] += again.outcome is reply.outcome
            reply, repeats = again, repeats + 1
        return reply

    def _is_hopeless(self) -> bool:
        if self._last is Outcome.UNAUTHORIZED and self.bearer is not None:
            return False  # such a 401 costs no login, and other lists may be open to it
        return self._in_a_row >= _MOST_IN_A_ROW.get(self._last, MAX_REQUESTS)

    def _may_pass(self, reply: Reply, repeats: int) -> bool:
        may_pass = repeats < _REPEATS.get(reply.outcome, 0) and self._in_vain[reply.outcome] < _MOST_IN_VAIN
        return may_pass and self._repeats < _MOST_REPEATS and (reply.retry_after or 0) <= _MOST_WAIT

    async def _ask_in_bounds(self, operation: Operation, params: Mapping[str, Param], bearer: str | None) -> Reply:
        if not self.has_room():
            return Reply.unsent()
        self._under_way += 1
        try:
            reply = await self._ask_once(operation, params, bearer)
        finally:
            self._under_way -= 1
        if reply.outcome is Outcome.IN_FRONT:
            self.in_front += 1
        if reply.is_page and bearer == self.bearer:
            self.pages.append(AskedPage(operation, params, len(reply.records), reply.total))
        return reply

    async def _ask_once(self, operation: Operation, params: Mapping[str, Param], bearer: str | None) -> Reply:
        decode = partial(read_reply, key=operation.result_key or "", offset=_number(params, "offset"))
        try:
            answer = await self.caller.execute(CallRequest(operation, decode=decode, params=params, bearer=bearer))
        except CareCloudError as error:
            return failed_reply(error)
        return evolve(answer.data, status=answer.response.status, headers=answer.response.headers)

    # Events of the calls

    def attempt_started(self, call: CallStart, number: int, headers: MutableMapping[str, str]) -> None:
        """Count a request; one beyond the bound ends the check."""
        del headers
        self._begin(call, number)

    def attempt_resent(self, call: CallStart, number: int, headers: MutableMapping[str, str], status: int) -> None:
        """Count the second sending after a 401."""
        del headers, status
        self._begin(call, number)

    def _begin(self, call: CallStart, number: int) -> None:
        self.requests += 1
        self._begun[id(call), number] = self.caller.context.clock.monotonic()
        if self.requests >= MAX_REQUESTS:
            self.scope.cancel()

    def attempt_ended(self, call: CallStart, number: int, status: int | None, error: BaseException | None) -> None:
        """Measure a request."""
        del error
        now = self.caller.context.clock.monotonic()
        self.sent.append(SentRequest(status, now - self._begun.pop((id(call), number), now)))

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        """Note the server's clock."""
        if record.status is None:
            return
        date = server_date(record.headers)
        if date is None:
            self.undated += record.status < 400  # an error can be a proxy's
            return
        seen = ServerTime(date, datetime.fromtimestamp(self.caller.context.clock.time(), UTC))
        self.times.append(seen)
        if call.login:
            self.login_time = seen

    def throttled(self, call: CallStart, retry_after: float | None, rate: float | None) -> None:
        """Count a 429."""
        del call, rate
        if retry_after is None:
            self.throttled_bare += 1
        else:
            self.throttled_with_wait += 1
