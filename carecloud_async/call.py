"""The life of one call: build, pass the rate gate, send with auth, repeat or give up, decode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from random import Random
from typing import Any, TypeVar

from attrs import define, evolve, frozen

from carecloud_async import codec
from carecloud_async.attempt import Attempt, Reply
from carecloud_async.auth.flow import flow_for
from carecloud_async.auth.manager import TokenManager
from carecloud_async.clock import Clock
from carecloud_async.errors import (
    CareCloudError,
    ClientClosedError,
    InterfaceError,
    NotFoundError,
    RequestTimeoutError,
    ResponseError,
)
from carecloud_async.http import USER_AGENT, Door, Timeout, masked_url
from carecloud_async.loops import LoopGuard
from carecloud_async.observe import CallRecord, OnCall, report
from carecloud_async.operations import Operation
from carecloud_async.project import Interface, Project
from carecloud_async.rate import Gate
from carecloud_async.retry import Failure, RetryBudget, RetryPolicy, Trouble
from carecloud_async.wire import encode_query, expand_path, server_date

T = TypeVar("T")


@define(eq=False, kw_only=True)
class Engine:
    """What all views of one client share.

    Attributes:
        project: where the calls go.
        door: the HTTP client.
        gate: the rate limit.
        budget: the repeats that may still be spent.
        clock, random: time and chance.
        guard: the event loop the client belongs to.
        on_call: the user's hook for metrics.
        closed: whether the client was closed.
    """

    project: Project
    door: Door
    gate: Gate
    budget: RetryBudget
    clock: Clock
    random: Random
    guard: LoopGuard
    on_call: OnCall | None
    closed: bool = False

    def check(self) -> None:
        """Refuse to work when closed or in the wrong loop."""
        if self.closed:
            raise ClientClosedError("the client was closed: make a new one")
        self.guard.check()

    async def aclose(self) -> None:
        """Close the pool."""
        if not self.closed:
            self.closed = True
            await self.door.aclose()


@frozen(kw_only=True)
class Options:
    """What a view may have of its own.

    Attributes:
        language: the `Accept-Language`.
        timeout: how long calls may take.
        retry: how they are repeated.
    """

    language: str
    timeout: Timeout
    retry: RetryPolicy


class Caller:
    """Makes calls for one identity with one set of options.

    Args:
        engine: what all views share.
        interface: the API that the identity may use.
        options: the view's own settings.
        manager: the identity's tokens; `None` for calls that carry no token of their own.
    """

    def __init__(
        self, engine: Engine, *, interface: Interface, options: Options, manager: TokenManager | None = None
    ) -> None:
        self.engine = engine
        self.interface = interface
        self.options = options
        family = engine.door.family
        self._flow = None if manager is None else flow_for(family, manager)
        self._base_path = engine.project.base_path(interface)
        self._headers = family.Headers(engine.door.client.headers)
        self._headers.update(
            {
                "Accept": "application/json",
                "Accept-Language": options.language,
                "Content-Type": "application/json",
                "User-Agent": USER_AGENT,
            }
        )
        for name in ("Authorization", "Cookie"):
            self._headers.pop(name, None)
        self._timeouts = {
            "connect": options.timeout.connect,
            "read": options.timeout.read,
            "write": options.timeout.read,
            "pool": None,
        }

    async def call(
        self,
        operation: Operation,
        *,
        decode: Callable[[bytes], T],
        path_params: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        bearer: str | None = None,
    ) -> T:
        """Make a call and decode its answer.

        Args:
            operation: what to ask.
            decode: turns the body into the result; raises `codec.Malformed` for what the API never sends.
            path_params: values of the path's placeholders.
            params: query parameters; `None` values are left out.
            json: the body.
            bearer: a token to send instead of the identity's own.

        Raises:
            InterfaceError: the identity's interface does not have the operation; nothing was sent.
            CareCloudError: see `carecloud_async.errors`.
        """
        reply = await self.exchange(operation, path_params=path_params, params=params, json=json, bearer=bearer)
        try:
            return decode(reply.body)
        except codec.Malformed as error:
            problem = str(error)
        raise self.broken(operation, problem, status=reply.status)

    @staticmethod
    def broken(operation: Operation, problem: str, *, status: int | None = None) -> ResponseError:
        """Make the error of an answer that is not what the API promises."""
        where = f"{operation.method} {operation.path}"
        return ResponseError(f"{where}: {problem}", method=operation.method, path=operation.path, status=status)

    def text(self, operation: Operation, data: Any, name: str) -> str:
        """Take one text out of an answer's data.

        Raises:
            ResponseError: it is not there.
        """
        value = data.get(name) if isinstance(data, dict) else None
        if not isinstance(value, str) or not value:
            raise self.broken(operation, f"the answer holds no {name}")
        return value

    async def exchange(
        self,
        operation: Operation,
        *,
        path_params: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        bearer: str | None = None,
        login: bool = False,
    ) -> Reply:
        """Make a call and return the answer undecoded; see `call`.

        Args:
            operation: what to ask.
            path_params: values of the path's placeholders.
            params: query parameters.
            json: the body.
            bearer: a token to send instead of the identity's.
            login: whether any refusal is about credentials.
        """
        if self.interface not in operation.interfaces:
            raise InterfaceError(
                f"{operation.method} {operation.path} does not exist on the {self.interface} interface of this identity"
            )
        self.engine.check()
        path = expand_path(operation.path, path_params) if path_params else operation.path
        query = encode_query(params, project=self.engine.project) if params else ""
        body = None if json is None else codec.encode(json, zone=self.engine.project.timezone)

        def attempt() -> Attempt:
            request = self._request(operation, f"{path}?{query}" if query else path, body, bearer)
            auth = self._flow if operation.authorized and bearer is None else None
            return Attempt(operation=operation, request=request, auth=auth, login=login)

        return await _Life(self.engine, self.options, operation).run(attempt)

    def _request(self, operation: Operation, target: str, body: bytes | None, bearer: str | None) -> Any:
        family = self.engine.door.family
        origin = self.engine.project.origin
        url = masked_url(family)(f"{origin}{self._base_path}{target}")
        url.shown = f"{origin}{self._base_path}{operation.path}"
        request = family.Request(
            operation.method, url, headers=self._headers, content=body, extensions={"timeout": self._timeouts}
        )
        request.url = url
        if bearer is not None:
            request.headers["Authorization"] = f"Bearer {bearer}"
        return request

    def with_options(self, options: Options, manager: TokenManager | None) -> Caller:
        """Return a caller for the same engine with other options."""
        return Caller(self.engine, interface=self.interface, options=options, manager=manager)


class _Life:
    """One call from its first attempt to its end."""

    def __init__(self, engine: Engine, options: Options, operation: Operation) -> None:
        self._engine = engine
        self._options = options
        self._operation = operation
        self._attempts = 0
        self._at_gate = 0.0
        self._status: int | None = None
        self._may_be_done = False
        self._started = engine.clock.monotonic()
        self._id = f"{engine.random.getrandbits(64):016x}"

    async def run(self, attempt: Callable[[], Attempt]) -> Reply:
        self._engine.budget.earn()
        try:
            reply = await self._repeat(attempt)
        except CareCloudError as error:
            self._report(type(error).__name__)
            raise
        self._report(None)
        return reply

    async def _repeat(self, attempt: Callable[[], Attempt]) -> Reply:
        engine = self._engine
        while True:
            ticket = await self._pass_gate()
            self._attempts += 1
            outcome = await attempt().send(
                engine.door, seconds=self._time_left(), now=engine.clock.monotonic(), wall=engine.clock.time()
            )
            if isinstance(outcome, Reply):
                self._status = outcome.status
                engine.gate.served(ticket)
                return outcome
            self._note(outcome, ticket)
            if self._deleted_before(outcome):
                return Reply(204, {}, b"", engine.clock.monotonic())
            wait = self._decide(outcome)
            if wait is None:
                raise self._final(outcome)
            await engine.clock.sleep(wait)

    async def _pass_gate(self) -> int:
        before = self._engine.clock.monotonic()
        ticket = await self._engine.gate.enter()
        self._at_gate += self._engine.clock.monotonic() - before
        if self._time_left() <= 0:
            raise self._out_of_time()
        return ticket

    def _time_left(self) -> float:
        spent = self._engine.clock.monotonic() - self._started - self._at_gate
        return self._options.timeout.total - spent

    def _note(self, failure: Failure, ticket: int) -> None:
        self._status = getattr(failure.error, "status", None)
        if failure.trouble is Trouble.REFUSED:
            self._engine.gate.refused(ticket, retry_after=failure.retry_after)
        elif self._status is not None:
            self._engine.gate.served(ticket)

    def _deleted_before(self, failure: Failure) -> bool:
        """Tell whether a DELETE that was repeated finds that the lost first one had worked."""
        if self._operation.method != "DELETE":
            return False
        if failure.trouble in {Trouble.LOST, Trouble.SERVER}:
            self._may_be_done = True
        return self._may_be_done and isinstance(failure.error, NotFoundError)

    def _decide(self, failure: Failure) -> float | None:
        wait = self._options.retry.decide(
            failure,
            attempt=self._attempts,
            safe_to_repeat=self._operation.safe_to_repeat,
            random=self._engine.random.random,
        )
        if wait is None or wait >= self._time_left() or not self._engine.budget.spend():
            return None
        return wait

    def _final(self, failure: Failure) -> CareCloudError:
        error = failure.error
        if hasattr(error, "correlation_id"):
            error.correlation_id = self._id
        return error

    def _out_of_time(self) -> RequestTimeoutError:
        operation = self._operation
        return RequestTimeoutError(
            f"{operation.method} {operation.path}: no time left before it could be sent",
            method=operation.method,
            path=operation.path,
        )

    def _report(self, error: str | None) -> None:
        report(
            CallRecord(
                method=self._operation.method,
                path=self._operation.path,
                status=self._status,
                seconds=self._engine.clock.monotonic() - self._started,
                attempts=self._attempts,
                correlation_id=self._id,
                error=error,
            ),
            self._engine.on_call,
        )


class LoginSender:
    """Sends what a provider asks for, without a token of its own; see `auth.provider.Send`.

    Args:
        caller: a caller for the identity's interface, without a token manager.
        patient: whether what fails is repeated.
    """

    def __init__(self, caller: Caller, *, patient: bool) -> None:
        if not patient:
            once = evolve(caller.options, retry=evolve(caller.options.retry, attempts=1))
            caller = caller.with_options(once, None)
        self._caller = caller
        self.sent_at = caller.engine.clock.monotonic()
        self.date: datetime | None = None

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        path_params: Mapping[str, str] | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        """See `auth.provider.Send`. Logins and new device tokens may be repeated: the last one counts."""
        operation = Operation(
            operation_id="",
            method=method,
            path="/" + path.lstrip("/"),
            call="",
            safe_to_repeat=True,
            authorized=False,
        )
        reply = await self._caller.exchange(operation, path_params=path_params, json=json, bearer=bearer, login=True)
        self.sent_at = reply.sent_at
        self.date = server_date(reply.headers)
        if not reply.body:
            return {}
        try:
            data = codec.data(reply.body)
        except codec.Malformed as error:
            problem = str(error)
        else:
            if isinstance(data, dict):
                return data
            problem = "data is no object"
        raise self._caller.broken(operation, problem, status=reply.status)
