"""Answer one request: record it, apply faults, check the rules of the API, call its handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from carecloud_async.sandbox.api.calls import (
    Answer,
    Call,
    Page,
    RefusalError,
    answer_of,
    json_answer,
    method_not_allowed,
    not_found,
    refusal,
)
from carecloud_async.sandbox.api.operations import admit, handler_of
from carecloud_async.sandbox.server.faults import ArmedFault, Faults
from carecloud_async.sandbox.server.recording import Hook, RecordedRequest, RequestLog
from carecloud_async.sandbox.state.sandbox_state import SandboxState

_HTML: Final = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>"
_WITHOUT_DOCUMENTED_BODY: Final = frozenset({429, 502, 503, 504})


class ConnectionCutError(Exception):
    """The connection must be cut now; the transport that sends the answer does it.

    Args:
        answer: half of this answer is sent; `None` sends nothing.
    """

    def __init__(self, answer: Answer | None) -> None:
        super().__init__("the sandbox was configured to cut the connection")
        self.answer = answer


class Pipeline:
    """Turns requests into answers.

    Args:
        state: the state of the sandbox.
        log: where requests are recorded.
        faults: the faults that were added.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, *, state: SandboxState, log: RequestLog, faults: Faults, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._state = state
        self._log = log
        self._faults = faults
        self._sleep = sleep
        self._serial = 0
        self._late: list[tuple[float, RecordedRequest]] = []

    async def answer(self, request: RecordedRequest) -> Answer:
        """Record a request and answer it.

        Raises:
            ConnectionCutError: a fault cuts the connection.
        """
        self._log.begin_request(request)
        status = None
        try:
            answer = self._with_headers(await self._answer_or_fail(request))
            status = answer.status
            return answer
        finally:
            self._log.end_request(status=status)

    async def _answer_or_fail(self, request: RecordedRequest) -> Answer:
        """Apply what comes before the work: hooks, late work, latency, faults."""
        await _call_hook(self._log.on_request, request)
        await self._work_late()
        if self._state.latency > 0:
            await self._sleep(self._state.latency)
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
        except RefusalError as refused:
            answer = json_answer({"error": refused.error}, status=refused.status)
            return attrs.evolve(answer, headers=refused.headers)

    async def _call_handler(self, request: RecordedRequest) -> Answer:
        route, api, state = request.route, request.operation, self._state
        if route.interface is None or not route.by_method:
            raise not_found(resource=route.template.split("/")[1], resource_id="")
        if api is None:
            raise method_not_allowed(request.method, allowed=route.by_method)
        device = admit(state, api, interface=route.interface, token=request.token, path=route.values)
        if api.method == "GET" and api.template in state.refused:
            detail = "The list was refused when the project was recorded"
            raise refusal(state.refused[api.template], "access_denied_exception", "Access denied", detail)
        call = Call(state=state, api=api, path=route.values, query=request.query, body=request.body, device=device)
        with state.customers.lock:
            result = handler_of(api)(call)
            answer = answer_of(api, result)
        if isinstance(result, Page):
            await _call_hook(self._log.on_page, request)
        return answer

    def _with_headers(self, answer: Answer) -> Answer:
        self._serial += 1
        own = {"date": self._state.clock.http_date(), "x-request-id": f"sandbox-{self._serial}"}
        present = {name.lower() for name, _ in answer.headers}
        more = ((name, value) for name, value in own.items() if name not in present)
        return attrs.evolve(answer, headers=(*answer.headers, *more))


async def _call_hook(hook: Hook | None, request: RecordedRequest) -> None:
    """Call a hook of the test, plain or async."""
    waiting = None if hook is None else hook(request)
    if inspect.isawaitable(waiting):
        await waiting


def _answer_instead(fault: ArmedFault) -> Answer:
    """The answer of a fault that replaces the work.

    Raises:
        ConnectionCutError: the fault cuts the connection.
    """
    if fault.cut:
        raise ConnectionCutError(None)
    status = fault.status or 200
    plain = Answer(status=status)
    if status >= 400 and status not in _WITHOUT_DOCUMENTED_BODY:
        detail = "The request could not be processed"
        plain = json_answer(
            {"error": refusal(status, "error_exception", "Internal error", detail).error}, status=status
        )
    return _damaged(plain, fault)


def _damaged(answer: Answer, fault: ArmedFault) -> Answer:
    """The answer after the work, as the fault changes it.

    Raises:
        ConnectionCutError: the fault cuts the connection.
    """
    if fault.cut:
        raise ConnectionCutError(answer if fault.cut == "half" else None)
    body, content_type = _damaged_body(answer, fault)
    after = fault.retry_after
    retry_after = {} if after is None else {"retry-after": after if isinstance(after, str) else f"{after:g}"}
    # A 204 cannot have the body that the fault adds.
    status = fault.status or (200 if answer.status == 204 and body else answer.status)
    headers = (*answer.headers, *fault.headers.items(), *retry_after.items())
    return attrs.evolve(answer, status=status, body=body, content_type=content_type, headers=headers)


def _damaged_body(answer: Answer, fault: ArmedFault) -> tuple[bytes, str | None]:
    if fault.body is not None:
        body = fault.body.encode() if isinstance(fault.body, str) else fault.body
        return body, answer.content_type or "application/json"
    if fault.html:
        return _HTML, "text/html"
    if fault.garbage:
        return answer.body[: len(answer.body) // 2] + b"\x00{garbage", "application/json"
    return answer.body, answer.content_type
