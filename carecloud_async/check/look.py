"""`Look`: what a check has seen of a project so far, and how it asks for more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from uuid import uuid4

import anyio
from attrs import evolve, field, frozen

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.auth.provider import AuthProvider, Send
from carecloud_async._calls.auth.token import LoggedIn, Token
from carecloud_async._calls.call.context import ClientContext
from carecloud_async._calls.call.events import CallObserver, CallRecord, CallStart
from carecloud_async._calls.call.failure import server_date
from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.call.retry import RetryPolicy
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    CareCloudError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from carecloud_async.resources.lookup.by_name import listable

if TYPE_CHECKING:
    from carecloud_async._base.project import Project
    from carecloud_async._calls.call.caller import Caller

#: A record as the server wrote it: nothing is known of its values.
Record: TypeAlias = Mapping[str, Any]
#: A value of the query of a list.
Param: TypeAlias = str | int | Sequence[str]

#: The most requests of a check, logins and repeats included.
MAX_REQUESTS: Final = 60
#: What one question can send: the request, a login after a 401, and two more requests.
_MOST_PER_QUESTION: Final = 4
#: After this many questions in a row without an answer of the API, nothing more is asked.
_MOST_UNANSWERED: Final = 4
#: The records of the page that shows a cap; exports ask for pages of this size.
LARGE: Final = 1000

_RETRY: Final = RetryPolicy(attempts=2, base=2, max_wait=5)
_TIMEOUT: Final = Timeout(connect=5, read=20, total=45, limiter=20)


class Checked(Protocol):
    """The part of a client that the checks use."""

    @property
    def _caller(self) -> Caller: ...

    @property
    def project(self) -> Project:
        """The project."""
        ...

    async def login(self) -> LoggedIn:
        """Log in now; see `CareCloud.login`."""
        ...

    def acting_as(self, auth: AuthProvider) -> Any:
        """Return a view with another identity."""
        ...

    def with_options(self, *, timeout: Timeout, retry: RetryPolicy) -> Any:
        """Return a view with other options."""
        ...


@frozen(kw_only=True)
class Beside(AuthProvider):
    """An identity of its own beside the client's: its token is neither renewed nor stored, and ends after a 401.

    Attributes:
        provider: the client's identity.
        token: its token; empty for that of another login.
    """

    provider: AuthProvider
    token: str = field(default="", repr=False)
    key: str = field(factory=lambda: uuid4().hex, repr=False)
    renewable = False

    @property
    def interface(self) -> Interface:
        """See `AuthProvider`."""
        return Interface(self.provider.interface)

    @property
    def identity_key(self) -> str:
        """See `AuthProvider`."""
        return self.key

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """See `AuthProvider`."""
        del previous
        return Token(self.token) if self.token else await self.provider.obtain(send, None)


class NotSeen(Exception):  # noqa: N818  (no error: an answer that is missing)
    """No answer can show it; the text says why."""


class Came(StrEnum):
    """What came back for a request, in words for findings."""

    PAGE = "the list came"
    DEAD_TOKEN = "the token was refused"  # noqa: S105  (no secret)
    FORBIDDEN = "forbidden"
    ABSENT = "not there"
    REFUSED = "refused"
    OTHER = "not the list"
    FOREIGN = "the answer of something in front of CareCloud"
    LIMITED = "refused by the rate limit"
    FAILED = "the server failed"
    NOTHING = "no answer"
    NOT_ASKED = "not asked"


#: What an error says about a request; the first that fits.
_CAME: Final = (
    (NotSeen, Came.NOT_ASKED),
    (AuthenticationError, Came.DEAD_TOKEN),
    (PermissionDeniedError, Came.FORBIDDEN),
    ((NotFoundError, MethodNotAllowedError), Came.ABSENT),
    (RateLimitError, Came.LIMITED),
    (ServerError, Came.FAILED),
    (ApiError, Came.REFUSED),
)


@frozen(kw_only=True, repr=False)
class Reply:
    """What came back for one page of a list.

    Attributes:
        name: the name of the list.
        operation: the list.
        params: the query.
        items: the records of the page.
        length: the number of entries of the page, records or not.
        total: the number of records of the whole list; `None` if the page does not say it.
        status: the HTTP status; `None` if no answer came.
        headers: the headers of the answer.
        error: why there is no page.
    """

    name: str
    operation: Operation
    params: Mapping[str, Param]
    items: Sequence[Record] = ()
    length: int = 0
    total: int | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict)
    error: Exception | None = None

    @property
    def came(self) -> Came:
        """What it is."""
        if self.error is None:
            return Came.PAGE
        if isinstance(self.error, ResponseError | ApiError) and self.status is not None and self.status < 300:
            return Came.FOREIGN if "html" in self.headers.get("content-type", "") else Came.OTHER
        if isinstance(self.error, ResponseError) and self.status is not None:
            return Came.FOREIGN
        return next((came for kind, came in _CAME if isinstance(self.error, kind)), Came.NOTHING)

    @property
    def is_page(self) -> bool:
        """Whether a page of the list came."""
        return self.error is None

    @property
    def is_refused(self) -> bool:
        """Whether the API refused the request, or answered it with a success that holds no list."""
        return self.came in {Came.FORBIDDEN, Came.ABSENT, Came.REFUSED, Came.OTHER}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its records; a record without one is left out."""
        values = (record.get(self.operation.id_field or "") for record in self.items)
        return tuple(str(value) for value in values if isinstance(value, str | int) and value != "")

    def __str__(self) -> str:
        """Return what came in words, for findings; never the text of an error, which a server can write."""
        if isinstance(self.error, NotSeen):
            return str(self.error)
        return self.came if self.status is None or self.is_page else f"{self.came} (status {self.status})"


class Traffic(CallObserver):
    """Counts and measures the requests of a check.

    Attributes:
        requests: the number of requests that were begun.
        statuses: the status of each request that has ended; `None` if no answer came.
        seconds: the time until each answer.
        dates: the server's clock and this host's, in UTC, as each answer showed them.
        undated: the number of successful answers without a `Date`.
        last: the record of the last call that was no login.
        scope: is cancelled at the bound.
    """

    def __init__(self, clock: Clock) -> None:
        self.requests: int = 0
        self.statuses: list[int | None] = []
        self.seconds: list[float] = []
        self.dates: list[tuple[datetime, datetime]] = []
        self.undated: int = 0
        self.last: CallRecord | None = None
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self._clock = clock
        self._begun = 0.0

    def attempt_started(self, call: CallStart, number: int, headers: MutableMapping[str, str]) -> None:
        """Count a request; the check ends at its bound."""
        del call, number, headers
        self._begun = self._clock.monotonic()
        self.requests += 1
        if self.requests >= MAX_REQUESTS:
            self.scope.cancel()

    def attempt_resent(self, call: CallStart, number: int, headers: MutableMapping[str, str], status: int) -> None:
        """Count the second sending after a 401."""
        del status
        self.attempt_started(call, number, headers)

    def attempt_ended(self, call: CallStart, number: int, status: int | None, error: BaseException | None) -> None:
        """Measure a request."""
        del call, number, error
        self.statuses.append(status)
        if status is not None:
            self.seconds.append(self._clock.monotonic() - self._begun)

    def call_ended(self, call: CallStart, record: CallRecord) -> None:
        """Note the server's clock."""
        if not call.login:
            self.last = record
        date = server_date(record.headers)
        if date is not None:
            self.dates.append((date, datetime.fromtimestamp(self._clock.time(), UTC)))
        elif record.status is not None and record.status < 400:  # an error can be a proxy's
            self.undated += 1

    @property
    def now(self) -> datetime:
        """The server's clock as the last answer showed it, or this host's."""
        return self.dates[-1][0] if self.dates else datetime.fromtimestamp(self._clock.time(), UTC)


class Look:
    """Asks a project for pages, each of them once, and keeps them.

    Args:
        client: the client.
        context: its clock, random numbers and HTTP client.
        provider: its identity.
        seconds: the longest time.

    Attributes:
        traffic: the requests so far.
        replies: the answers so far.
        touched: the answers that the probe under way goes by.
        families: the first page of each list that was asked for.
        logged_in: the first login.
        second_login: the second login.
        token_life: how long the token lives from the first login on, as its answer says it.
        device_token: the token of a device, on which no customer need be logged in; otherwise empty.
        nowhere: an id that no record has.
        end: why nothing more is asked; empty as long as it is.
    """

    def __init__(self, client: Checked, *, context: ClientContext, provider: AuthProvider, seconds: float) -> None:
        self.client: Checked = client
        self.context: ClientContext = context
        self.provider: AuthProvider = provider
        self.traffic: Traffic = Traffic(context.clock)
        self.replies: list[Reply] = []
        self.touched: list[Reply] = []
        self.families: Sequence[Reply] = ()
        self.logged_in: LoggedIn | None = None
        self.second_login: LoggedIn | None = None
        self.token_life: timedelta | None = None
        self.device_token: str = ""
        self.nowhere: str = f"{context.random.getrandbits(104):026x}"
        self.end: str = ""
        self._seconds = seconds
        self._began, self._deadline = context.clock.monotonic(), anyio.current_time() + seconds
        self._view = client.with_options(timeout=_TIMEOUT, retry=_RETRY).fresh()
        self._known: dict[object, Reply] = {}
        self._round = 0
        self._unanswered = 0

    @property
    def interface(self) -> Interface:
        """The interface of the identity."""
        return Interface(self.provider.interface)

    @property
    def read(self) -> Sequence[Reply]:
        """The first pages that came."""
        return [reply for reply in self.families if reply.is_page]

    @property
    def elapsed(self) -> float:
        """The seconds of the check so far."""
        return max(self.context.clock.monotonic() - self._began, 0.0)

    @property
    def target(self) -> Reply:
        """The first page of the list that is looked at closely: the customers, or the longest one with records.

        Raises:
            NotSeen: no list has records.
        """
        usable = [
            reply for reply in self.families if reply.items and reply.operation.paged and reply.operation.id_field
        ]
        if not usable:
            raise NotSeen("no list with records can be read")
        return max(usable, key=lambda reply: (reply.name == "customers", reply.total or reply.length))

    def view(self, token: str = "") -> Any:
        """Return a view of the client with the patience of a check, on an identity of its own beside the client's.

        Args:
            token: its token; empty for that of another login.
        """
        beside = self.client.acting_as(Beside(provider=self.provider, token=token))
        return beside.with_options(timeout=_TIMEOUT, retry=_RETRY).fresh()

    @contextmanager
    def bounds(self) -> Iterator[None]:
        """Bound what is sent inside by the time and the requests of the check.

        Raises:
            NotSeen: they are used up.
        """
        self.end = self.end or self._why_not()
        if self.end:
            raise NotSeen(f"not asked: {self.end}")
        with anyio.CancelScope(deadline=self._deadline) as self.traffic.scope:
            yield
        if self.traffic.scope.cancelled_caught:
            self.end = self._why_not()
            raise NotSeen(f"not answered: {self.end}")

    def _why_not(self) -> str:
        if self.traffic.requests > MAX_REQUESTS - _MOST_PER_QUESTION:
            return f"its {MAX_REQUESTS} requests were used up"
        if anyio.current_time() >= self._deadline:
            return f"its {self._seconds:g} seconds were over"
        return f"{_MOST_UNANSWERED} answers in a row failed" if self._unanswered >= _MOST_UNANSWERED else ""

    async def page(self, name: str, **params: Param) -> Reply:
        """Return a page of a list, as it came when it was asked for first."""
        key = (self._round, name, *sorted((field, str(value)) for field, value in params.items()))
        if key not in self._known:
            self._known[key] = await self.afresh(name, params)
        self.touched.append(self._known[key])
        return self._known[key]

    async def afresh(self, name: str, params: Mapping[str, Param], *, token: str = "") -> Reply:
        """Return a page of a list, whether it came before or not.

        Args:
            name: the name of the list.
            params: the query.
            token: the token to show, which is not renewed after a 401; by default the client's.
        """
        token = token or self.device_token
        view = self.view(token) if token else self._view
        reply = Reply(name=name, operation=listable()[name], params=params)
        try:
            with self.bounds():
                page = await view.listing(reply.operation.path, params=params).page()
                reply = evolve(reply, items=page.items, length=page.received, total=page.total_items)
        except (CareCloudError, NotSeen) as error:
            reply = evolve(reply, error=error)
        last = self.traffic.last
        if last is not None and not isinstance(reply.error, NotSeen):
            reply = evolve(reply, status=last.status, headers=last.headers)
        is_answer = reply.is_page or reply.is_refused or (self.device_token and reply.came is Came.DEAD_TOKEN)
        self._unanswered = 0 if is_answer else self._unanswered + 1
        self.touched.append(reply)
        self.replies.append(reply)
        return reply

    @contextmanager
    def again(self) -> Iterator[None]:
        """In the block each page is requested once more, in place of the answer that is known."""
        self._round += 1
        try:
            yield
        finally:
            self._round -= 1

    async def still_comes(self) -> bool:
        """Return whether a plain list comes that came before; rights, tokens and the server can end meanwhile."""
        return bool(self.read) and (await self.afresh(self.read[0].name, {"count": 1})).is_page
