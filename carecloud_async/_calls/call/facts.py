"""What is known of one call while it is made: its arguments, how far it is, and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from functools import cached_property
from typing import Any, Generic, TypeVar

from carecloud_async._base.codec.json_text import load
from carecloud_async._calls.auth.secret import secrets_of
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.context import ClientContext, ViewOptions
from carecloud_async._calls.call.events import CallObserver, CallStart, notify, observers_now
from carecloud_async._calls.call.operation import CallRequest, Operation, RawResponse
from carecloud_async._calls.http.redaction import texts_under_names

T = TypeVar("T")


class Stage(Enum):
    """How far an attempt is."""

    IDLE = auto()  #: there is none: the call has not begun, or waits for its next attempt
    TOKEN = auto()  #: it waits for its token; after the API's 401, which says that nothing was done, for another one
    CONNECTION = auto()  #: it waits for a connection
    LIMITER = auto()  #: it waits at the rate limiter
    SENT = auto()  #: the request may have been written, and may have had an effect
    GIVEN_UP = auto()  #: the request is not written any more: its slot came too late, or it is too old


class Facts(Generic[T]):
    """The facts of one call, which errors, the cache and its record are made of.

    Args:
        context: state that all views share.
        options: the view's own settings.
        request: the call's arguments, which were checked.
        target: the path and query below the version.
        body: the encoded body, if any.
        tokens: the identity's tokens, or `None` for a call that carries none of the identity's.

    Attributes:
        started: when the call began, on the monotonic clock.
        latest: when a request becomes too old to be written.
        statuses: the status of each attempt; `None` for one without an answer.
        began: when the last attempt began, on the monotonic clock.
        stage: how far the attempt under way is, or was when the call ended.
        replayed: whether the last attempt was sent once more with another token, after a 401.
        sent_tokens: the tokens that the call was sent with.
        headers: those of the last answer.
        cached: the cached answer of another call, if this call returns it.
        observers: receivers of the events of the call.
    """

    # What most calls never change is read from the class: setting it would take time in each call.
    began: float = 0.0
    stage: Stage = Stage.IDLE
    replayed: bool = False
    headers: Mapping[str, str] | None = None
    cached: RawResponse | None = None
    _start: CallStart | None = None

    def __init__(
        self,
        context: ClientContext,
        options: ViewOptions,
        request: CallRequest[T],
        *,
        target: str,
        body: bytes | None,
        tokens: Tokens | None,
    ) -> None:
        self.context = context
        self.options = options
        self.request = request
        self.operation: Operation = request.operation
        self.target = target
        self.body = body
        self.tokens = tokens
        self.started: float = context.clock.monotonic()
        self.latest: float = self.started + request.within
        self.statuses: list[int | None] = []
        self.sent_tokens: list[str] = []
        self.observers: tuple[CallObserver, ...] = observers_now(context, context.observers)

    @cached_property
    def correlation_id(self) -> str:
        """The id on its record and its errors, made when it is needed: it takes 3 % of a small call."""
        return f"{self.context.random.getrandbits(64):016x}"

    @property
    def sent(self) -> bool:
        """Whether the attempt under way may have had an effect."""
        return self.stage is Stage.SENT

    @property
    def waits_for_token(self) -> bool:
        """Whether the attempt waits for its token, or failed while it did."""
        return self.stage is Stage.TOKEN

    @property
    def is_login(self) -> bool:
        """Whether any refusal is about credentials."""
        return self.request.login and not self.operation.path.endswith("/logout")

    @property
    def offset(self) -> int | None:
        """The first record of the requested page of a list."""
        return _number(self.request.params, "offset")

    @property
    def count(self) -> int | None:
        """The size of the requested page of a list."""
        return _number(self.request.params, "count")

    @property
    def page(self) -> str:
        """The requested page for error messages; empty for other calls."""
        return "" if self.count is None else f", offset {self.offset or 0}, count {self.count}"

    def secrets(self) -> frozenset[str]:
        """Return what no error and no record shows of the answers: what arguments, tokens and identity hold."""
        request = self.request
        secrets = [*self.sent_tokens, *texts_under_names(request.path_params), *texts_under_names(request.params)]
        if request.bearer is not None:
            secrets.append(request.bearer)
        if self.body:
            secrets += texts_under_names(load(self.body))
        if self.tokens is not None:
            secrets += secrets_of(self.tokens.provider)
        return frozenset(filter(None, secrets))

    def begin(self) -> None:
        """Hand the start of the call to each observer, if there are any."""
        if self.observers:
            login = self.request.login
            self._start = CallStart(operation=self.operation, correlation_id=self.correlation_id, login=login)
            self.notify("call_started")

    def notify(self, event: str, *args: Any) -> None:
        """Call a method of each observer, if there are any; see `events.notify`."""
        if self._start is not None:
            notify(self.observers, event, self._start, *args)


def _number(params: Mapping[str, Any] | None, name: str) -> int | None:
    value = None if params is None else params.get(name)
    return value if type(value) is int else None
