"""Answer one request: record it, apply limits and faults, authorize it, call its handler."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from math import ceil
from threading import Lock
from typing import Final

import attrs

from carecloud_async.sandbox.api.calls import Answer, Call, Page, Query, answer_of, call_page_hook, json_answer
from carecloud_async.sandbox.api.operations import admit, handler_of
from carecloud_async.sandbox.api.problems import (
    RefusalError,
    method_not_allowed,
    not_found,
    server_error,
)
from carecloud_async.sandbox.server.conformance import broken_rules
from carecloud_async.sandbox.server.faults import ArmedFault, Faults
from carecloud_async.sandbox.server.recording import RecordedRequest, RequestLog
from carecloud_async.sandbox.state.sandbox_state import SandboxState

_HTML: Final = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>"
_WITHOUT_DOCUMENTED_BODY: Final = frozenset({429, 502, 503, 504})


class ConnectionCutError(Exception):
    """The connection must be cut now; the transport that sends the answer does it.

    Args:
        answer: Half of this answer is sent; `None` sends nothing.
    """

    def __init__(self, answer: Answer | None) -> None:
        super().__init__("the sandbox was configured to cut the connection")
        self.answer = answer


class Pipeline:
    """Turns requests into answers.

    Args:
        state: The state of the sandbox.
        log: Where requests are recorded.
        faults: The faults that were added.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        *,
        state: SandboxState,
        log: RequestLog,
        faults: Faults,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._state = state
        self._log = log
        self._faults = faults
        self._sleep = sleep
        self._limiter = _RateLimiter()
        self._serial = 0
        self._late: list[tuple[float, RecordedRequest]] = []

    async def answer(self, request: RecordedRequest) -> Answer:
        """Record a request and answer it.

        Raises:
            ConnectionCutError: A fault cuts the connection.
        """
        self._log.begin_request(request)
        status = None
        try:
            for text in broken_rules(request):
                self._log.add_violation(request, text)
            answer = self._with_headers(await self._answer_or_fail(request))
            status = answer.status
            return answer
        finally:
            self._log.end_request(request, status=status)

    async def _answer_or_fail(self, request: RecordedRequest) -> Answer:
        """Apply what comes before the work: hooks, late work, latency, the rate limit, faults."""
        if self._log.on_request is not None:
            waiting = self._log.on_request(request)
            if inspect.isawaitable(waiting):
                await waiting
        await self._work_late()
        settings = self._state.settings
        if settings.latency > 0:
            await self._sleep(settings.latency)
        limit = settings.rate_limit
        if limit is not None and not self._limiter.admits(self._state.clock.now(), limit=limit):
            return self._too_many()
        fault = self._faults.take(request.name)
        if fault is None:
            return await self._work(request)
        if fault.delay > 0:
            await self._sleep(fault.delay)
        if fault.late > 0:
            self._late.append((self._state.clock.now() + fault.late, request))
        return _answer_instead(fault) if fault.instead_of_work else _damaged(await self._work(request), fault)

    async def _work_late(self) -> None:
        """Do work that a fault delayed and that is now due."""
        now = self._state.clock.now()
        due = [request for at, request in self._late if at <= now]
        self._late = [(at, request) for at, request in self._late if at > now]
        for request in due:
            await self._work(request)

    async def _work(self, request: RecordedRequest) -> Answer:
        """Do what a request asks for; refusals are answers."""
        try:
            return await self._call_handler(request)
        except RefusalError as refusal:
            return json_answer({"error": refusal.error}, status=refusal.status)

    async def _call_handler(self, request: RecordedRequest) -> Answer:
        route, api, state = request.route, request.operation, self._state
        if route.interface is None or not route.by_method:
            raise not_found(resource=route.template.split("/")[1], resource_id="")
        if api is None:
            raise method_not_allowed(request.method)
        device = admit(state, api, interface=route.interface, token=request.token, path=route.values)
        query = Query(request.query)
        call = Call(state=state, api=api, path=route.values, query=query, body=request.body, device=device)
        with state.customers.lock:
            result = handler_of(api)(call)
            answer = answer_of(api, result)
        if isinstance(result, Page):
            await call_page_hook(state, api, result)
        return answer

    def _too_many(self) -> Answer:
        after = self._state.settings.rate_limit_retry_after
        return Answer(status=429, headers=() if after is None else (("retry-after", f"{after:g}"),))

    def _with_headers(self, answer: Answer) -> Answer:
        self._serial += 1
        settings = self._state.settings
        headers = list(answer.headers)
        present = {name.lower() for name, _ in headers}
        if settings.date_header and "date" not in present:
            headers.append(("date", self._state.clock.http_date()))
        if "x-request-id" not in present:
            headers.append(("x-request-id", f"sandbox-{self._serial}"))
        if settings.set_cookies:
            headers.append(("set-cookie", f"sandbox_session=visitor-{self._serial}; Path=/; HttpOnly"))
        return attrs.evolve(answer, headers=tuple(headers))


class _RateLimiter:
    """A sliding window; refused requests do not count."""

    def __init__(self) -> None:
        self._served: deque[float] = deque()
        self._lock = Lock()

    def admits(self, now: float, *, limit: float) -> bool:
        """Whether one more request fits.

        Args:
            now: The server's clock in seconds.
            limit: Requests a second. The window is as long as the next whole number of them takes.
        """
        capacity = ceil(limit)
        window = capacity / limit
        with self._lock:
            while self._served and (self._served[0] <= now - window or self._served[0] > now):
                self._served.popleft()
            if len(self._served) >= capacity:
                return False
            self._served.append(now)
            return True


def _answer_instead(fault: ArmedFault) -> Answer:
    """The answer of a fault that replaces the work.

    Raises:
        ConnectionCutError: The fault cuts the connection.
    """
    if fault.cut:
        raise ConnectionCutError(None)
    status = fault.status or 200
    plain = Answer(status=status)
    if status >= 400 and status not in _WITHOUT_DOCUMENTED_BODY:
        plain = json_answer({"error": server_error(status).error}, status=status)
    return _damaged(plain, fault)


def _damaged(answer: Answer, fault: ArmedFault) -> Answer:
    """The answer after the work, as the fault changes it.

    Raises:
        ConnectionCutError: The fault cuts the connection.
    """
    if fault.cut:
        raise ConnectionCutError(answer if fault.cut == "half" else None)
    body, content_type = _damaged_body(answer, fault)
    headers = list(fault.headers)
    if fault.retry_after is not None:
        after = fault.retry_after
        headers.append(("retry-after", after if isinstance(after, str) else f"{after:g}"))
    # A 204 cannot have the body that the fault adds.
    status = 200 if answer.status == 204 and body else answer.status
    return attrs.evolve(
        answer,
        status=fault.status or status,
        body=body,
        content_type=content_type,
        headers=(*answer.headers, *headers),
    )


def _damaged_body(answer: Answer, fault: ArmedFault) -> tuple[bytes, str | None]:
    if fault.body is not None:
        return fault.body, answer.content_type or "application/json"
    if fault.html:
        return _HTML, "text/html"
    if fault.garbage:
        return answer.body[: len(answer.body) // 2] + b"\x00{garbage", "application/json"
    if fault.no_data:
        return b'{"result":"ok"}', "application/json"
    return answer.body, answer.content_type
