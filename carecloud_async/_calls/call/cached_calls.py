"""CachedCalls: reads that use a cached answer or share a request in flight, and writes that remove what they change.

Only safe GETs of known operations are looked up: an unknown one might issue a token.
"""

from __future__ import annotations

from collections.abc import Coroutine, Hashable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from carecloud_async._calls.auth.manager import TokenManager
from carecloud_async._calls.call.call_errors import transport_error
from carecloud_async._calls.call.context import ClientContext
from carecloud_async._calls.call.execution import CallExecution
from carecloud_async._calls.call.raw_response import RawResponse
from carecloud_async._calls.call.requests import PreparedCall
from carecloud_async._calls.call.response_cache import AnswerStore, Flight, is_private, is_reference, part_of
from carecloud_async.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RequestTimeoutError,
    ServerError,
)

T = TypeVar("T")

#: Errors that depend on the request alone, shared with concurrent readers; those of a token or a deadline are not.
_SHARED_ERRORS = (BadRequestError, MethodNotAllowedError, NotFoundError, ServerError)
#: How often a call waits for another call's read before it makes its own.
_MOST_WAITS = 3
#: The application of an identity without one; see `AuthProvider.application_id`.
_NO_APPLICATION = "-"


def is_cacheable(call: PreparedCall) -> bool:
    """Return whether a call may be cached: its answer depends on its identity, target and language only."""
    operation, request = call.operation, call.request
    plain = request.json is None and request.bearer is None and request.headers is None
    known_read = bool(operation.operation_id) and operation.method == "GET" and operation.safe_to_repeat
    return plain and known_read and operation.authorized


class CachedCalls:
    """The calls of one identity on a client with a cache.

    Args:
        context: state that all views share.
        store: the client's answers.
        manager: the identity's tokens.
        scope: the interface and language of the calls.
        reuses: whether cached answers may be used; writes always remove what they change.
    """

    def __init__(
        self,
        context: ClientContext,
        store: AnswerStore,
        *,
        manager: TokenManager,
        scope: tuple[str, str],
        reuses: bool,
    ) -> None:
        self._context = context
        self._store = store
        self._manager = manager
        self._reuses = reuses
        self._scope = scope
        application = manager.provider.application_id
        #: The part of the keys that identities of one application share; `None` without an application.
        self._application = None if application == _NO_APPLICATION else (application, *scope)

    def run(self, execution: CallExecution[T]) -> Coroutine[Any, Any, T]:
        """Make a call, or use a cached answer; to be awaited."""
        call = execution.call
        if call.operation.clears_cache:
            return self._write(execution)
        if is_cacheable(call):
            return self._read(execution) if self._reuses else self._read_fresh(execution)
        return execution.run()

    async def _write(self, execution: CallExecution[T]) -> T:
        operation = execution.call.operation
        self._store.begin_write(operation)
        try:
            return await execution.run()
        finally:
            self._store.end_write(operation, lost=execution.lost_an_answer)

    async def _read(self, execution: CallExecution[T]) -> T:
        if self._manager.ended:
            return await execution.run()  # which says so
        execution.begin()
        try:
            # A loop of hits must let other tasks run. This is before the lookup, so that no write comes in between.
            await anyio.lowlevel.checkpoint()
            response = await self._find(execution)
        except BaseException as error:
            execution.fail(error)
            raise
        if response is not None:
            return await execution.conclude(response)
        execution.missed()
        key = self._key(execution.call)
        if self._store.flight(key) is not None:
            return await execution.run()  # another call's read failed, and a third one has begun
        return await self._lead(execution, key)

    async def _read_fresh(self, execution: CallExecution[T]) -> T:
        """Send a read and replace the cached answer, so that later reads do not get an older one."""
        generation = self._store.generation(part_of(execution.call.operation.path))
        token = self._manager.token_digest
        result = await execution.run()
        self._cache(execution.call, execution.response, generation=generation, token=token)
        return result

    def _key(self, call: PreparedCall) -> Hashable:
        """Return the key under which a call's answer is looked up.

        Reference data is shared by the application's identities, other answers belong to one identity. An identity
        without a token has not proved itself yet, and gets no answer that another one requested.
        """
        shares = self._application is not None and self._manager.has_token and is_reference(call.operation.path)
        return (self._application, call.target) if shares else self._own_key(call, self._manager.token_digest)

    def _own_key(self, call: PreparedCall, token: str | None) -> Hashable:
        """Return the key of an answer that belongs to this identity alone.

        It includes the token: a device token may serve another customer later, who must not find these answers.
        """
        return (self._store.identity(self._manager), token, *self._scope, call.target)

    async def _find(self, execution: CallExecution[T]) -> RawResponse | None:
        """Return a cached answer or that of a read under way; `None` if this call has to be made.

        Raises:
            CareCloudError: the read under way failed as this one would or took too long, or the client was closed.
        """
        for _ in range(_MOST_WAITS):
            key = self._key(execution.call)
            response = self._stored(execution.call, key)
            if response is not None:
                return response
            flight = self._store.flight(key)
            if flight is None:
                return None
            await self._wait(execution, flight)
            if self._context.closed:
                raise execution.closed_error()
            if flight.response is not None:
                return flight.response if self._may_share(flight, flight.response) else None
            if isinstance(flight.error, _SHARED_ERRORS):
                error = flight.error.fresh()
                error.correlation_id = None  # this call has one of its own
                raise error
            if isinstance(flight.error, Exception):
                return None
        return None

    def _stored(self, call: PreparedCall, key: Hashable) -> RawResponse | None:
        if not self._manager.has_token:
            return None  # the identity has to prove itself first
        return self._store.get(key) or self._store.get(self._own_key(call, self._manager.token_digest))

    async def _wait(self, execution: CallExecution[T], flight: Flight) -> None:
        with anyio.move_on_after(max(execution.seconds_left, 0.0)) as scope:
            await flight.done.wait()
        if scope.cancelled_caught:
            problem = f"no answer in time (total); an identical read was under way{execution.call.page}"
            raise transport_error(RequestTimeoutError, execution.call.operation, problem)

    def _may_share(self, flight: Flight, response: RawResponse) -> bool:
        return flight.manager is self._manager or not is_private(response.headers)

    async def _lead(self, execution: CallExecution[T], key: Hashable) -> T:
        token = self._manager.token_digest
        flight = self._store.begin_read(key, self._manager, part=part_of(execution.call.operation.path))
        try:
            result = await execution.run()
        except Exception as error:
            flight.error = error
            raise
        else:
            flight.response = execution.response
        finally:
            self._store.end_read(flight)
        self._cache(execution.call, flight.response, generation=flight.generation, token=token)
        return result

    def _cache(self, call: PreparedCall, response: RawResponse | None, *, generation: int, token: str | None) -> None:
        """Cache an answer.

        Args:
            call: what was read.
            response: the answer.
            generation: the number of writes before the request that could change the answer.
            token: the digest of the token at the time of the request; `None` if there was none.
        """
        now = self._manager.token_digest
        if response is None or now is None or token not in {None, now}:
            return  # the token changed meanwhile: it is unknown which one the request was sent with
        reference = is_reference(call.operation.path)
        shares = reference and self._application is not None and not is_private(response.headers)
        key = (self._application, call.target) if shares else self._own_key(call, now)
        self._store.put(key, response, part=part_of(call.operation.path), generation=generation)
