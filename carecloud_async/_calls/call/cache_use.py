"""How one call uses the cache: what it finds, waits for, keeps and removes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import anyio
import anyio.lowlevel

from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.cache import AnswerStore, Flight, Part, is_private, is_reference
from carecloud_async._calls.call.facts import Facts
from carecloud_async._calls.call.failure import transport_error
from carecloud_async._calls.call.operation import CallRequest, RawResponse
from carecloud_async.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RequestTimeoutError,
    ServerError,
)

#: Errors that depend on the request alone, shared with concurrent readers; those of a token or a deadline are not.
_SHARED_ERRORS = (BadRequestError, MethodNotAllowedError, NotFoundError, ServerError)
#: How often a call waits for another call's read before it makes its own.
_MOST_WAITS = 3
#: The application of an identity without one; see `AuthProvider.application_id`.
_NO_APPLICATION = "-"


def is_cacheable(request: CallRequest[Any]) -> bool:
    """Return whether a call may be cached: its answer depends on its identity, target and language only."""
    operation = request.operation
    plain = request.json is None and request.bearer is None and request.headers is None
    known_read = bool(operation.operation_id) and operation.method == "GET" and operation.safe_to_repeat
    return plain and known_read and operation.authorized


class CacheUse:
    """How one call uses the cache: a write removes what it can change, a read looks for an answer and keeps its own.

    Other calls may wait for the answer of a read. One that is not to reuse replaces the cached answer, so that later
    reads do not get an older one. Both methods are called once, the second one however the call ends.

    Args:
        call: the call, of an identity with tokens.
        store: the client's answers.
        tokens: the identity's tokens.
        scope: the interface and language of the call.
        reuses: whether a cached answer will do.
    """

    def __init__(
        self, call: Facts[Any], store: AnswerStore, *, tokens: Tokens, scope: tuple[str, str], reuses: bool
    ) -> None:
        self._call = call
        self._store = store
        self._tokens = tokens
        self._reuses = reuses
        self._scope = scope
        application = tokens.provider.application_id
        #: The part of the key that identities of one application share; `None` without an application.
        self._application = None if application == _NO_APPLICATION else (application, *scope)
        self._part = Part.REFERENCE if is_reference(call.operation.path) else Part.OTHERS
        self._keeps = False
        self._token: str | None = None
        self._generation = 0
        self._flight: Flight | None = None

    async def find(self, *, seconds: float) -> RawResponse | None:
        """Begin; return a cached answer or that of a read under way, or `None` if this call has to be sent.

        Args:
            seconds: the call's time.

        Raises:
            CareCloudError: the read under way failed as this one would or took too long, or the client was closed.
        """
        call, store = self._call, self._store
        if call.operation.clears_cache:
            store.begin_write(call.operation)
            return None
        if self._reuses:
            if self._tokens.ended:
                return None  # sending it says so
            # A loop of hits must let other tasks run. This is before the lookup, so that no write comes in between.
            await anyio.lowlevel.checkpoint()
            response = await self._look_up(seconds)
            if response is not None:
                return response
            call.notify("cache_missed")
            key = self._key()
            if key in store.flights:  # another call's read failed, and a third one has begun
                return None
            self._flight = store.flights[key] = Flight(key, self._tokens, self._part)
        self._keeps, self._token = True, self._tokens.token_digest
        self._generation = store.generation(self._part)
        return None

    def end(self, outcome: RawResponse | BaseException, *, lost: bool) -> None:
        """End with the response of the result, or the error.

        Args:
            outcome: the response or the error.
            lost: whether an answer is missing, so that the server may carry the call out later.
        """
        operation, store = self._call.operation, self._store
        if operation.clears_cache:
            store.end_write(operation, lost=lost)
        flight = self._flight
        if flight is not None:
            if isinstance(outcome, RawResponse):
                flight.response = outcome
            elif isinstance(outcome, Exception):
                flight.error = outcome
            if store.flights.get(flight.key) is flight:
                del store.flights[flight.key]
            flight.done.set()
        if self._keeps and isinstance(outcome, RawResponse):
            self._keep(outcome)

    def _key(self) -> Hashable:
        """Return the key under which the call's answer is looked up.

        Reference data is shared by the application's identities, other answers belong to one identity. An identity
        without a token has not proved itself yet, and gets no answer that another one requested.
        """
        call, tokens = self._call, self._tokens
        shares = self._application is not None and tokens.has_token and self._part is Part.REFERENCE
        return (self._application, call.target) if shares else self._own_key(tokens.token_digest)

    def _own_key(self, token: str | None) -> Hashable:
        """Return the key of an answer that belongs to this identity alone.

        It includes the token: a device token may serve another customer later, who must not find these answers.
        """
        return (self._tokens, token, *self._scope, self._call.target)

    async def _look_up(self, seconds: float) -> RawResponse | None:
        call, store, tokens = self._call, self._store, self._tokens
        for _ in range(_MOST_WAITS):
            key = self._key()
            if tokens.has_token:  # otherwise the identity has to prove itself first
                response = store.get(key) or store.get(self._own_key(tokens.token_digest))
                if response is not None:
                    return response
            flight = store.flights.get(key)
            if flight is None:
                return None
            seconds = await self._wait(flight, seconds)
            if call.context.is_over:
                raise call.context.closed_error(under_way=f"while {call.operation.title} was under way")
            if flight.response is not None:
                may_share = flight.tokens is tokens or not is_private(flight.response.headers)
                return flight.response if may_share else None
            if isinstance(flight.error, _SHARED_ERRORS):
                error = flight.error.fresh()
                error.correlation_id = None  # this call has one of its own
                raise error
            if flight.error is not None:
                return None
        return None

    async def _wait(self, flight: Flight, seconds: float) -> float:
        """Wait for the end of another call's read; return the rest of the time."""
        call = self._call
        began = call.context.clock.monotonic()
        with anyio.move_on_after(max(seconds, 0.0)) as scope:
            await flight.done.wait()
        if scope.cancelled_caught:
            problem = f"no answer in time (total); an identical read was under way{call.page}"
            raise transport_error(RequestTimeoutError, call.operation, problem)
        return seconds - (call.context.clock.monotonic() - began)

    def _keep(self, response: RawResponse) -> None:
        call, token = self._call, self._tokens.token_digest
        if token is None or self._token not in {None, token}:
            return  # the token changed meanwhile: it is unknown which one the request was sent with
        is_public = self._part is Part.REFERENCE and not is_private(response.headers)
        shares = is_public and self._application is not None
        key = (self._application, call.target) if shares else self._own_key(token)
        self._store.put(key, response, part=self._part, generation=self._generation)
