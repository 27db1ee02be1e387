"""CachedCalls: reads that use a cached answer or share a request in flight, and writes that remove what they change.

Only safe GETs of known operations are looked up: an unknown one might issue a token.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import anyio
import anyio.lowlevel

from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.call_errors import transport_error
from carecloud_async._calls.call.context import ClientContext
from carecloud_async._calls.call.facts import CallFacts
from carecloud_async._calls.call.operation import CallRequest, RawResponse
from carecloud_async._calls.call.response_cache import AnswerStore, Flight, is_private, is_reference, part_of
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


class CachedCalls:
    """The calls of one identity on a client with a cache.

    Args:
        context: state that all views share.
        store: the client's answers.
        tokens: the identity's tokens.
        scope: the interface and language of the calls.
        reuses: whether cached answers may be used; writes always remove what they change.
    """

    def __init__(
        self,
        context: ClientContext,
        store: AnswerStore,
        *,
        tokens: Tokens,
        scope: tuple[str, str],
        reuses: bool,
    ) -> None:
        self._context = context
        self.store: AnswerStore = store
        self.tokens: Tokens = tokens
        self._reuses = reuses
        self._scope = scope
        application = tokens.provider.application_id
        #: The part of the keys that identities of one application share; `None` without an application.
        self._application = None if application == _NO_APPLICATION else (application, *scope)

    def use(self, request: CallRequest[Any]) -> CacheUse | None:
        """Return how a call uses the cache; `None` for a call that is neither looked up nor changes anything."""
        if request.operation.clears_cache or is_cacheable(request):
            return CacheUse(self, reuses=self._reuses)
        return None

    def key(self, call: CallFacts) -> Hashable:
        """Return the key under which a call's answer is looked up.

        Reference data is shared by the application's identities, other answers belong to one identity. An identity
        without a token has not proved itself yet, and gets no answer that another one requested.
        """
        shares = self._application is not None and self.tokens.has_token and is_reference(call.operation.path)
        return (self._application, call.target) if shares else self._own_key(call, self.tokens.token_digest)

    def _own_key(self, call: CallFacts, token: str | None) -> Hashable:
        """Return the key of an answer that belongs to this identity alone.

        It includes the token: a device token may serve another customer later, who must not find these answers.
        """
        return (self.store.identity(self.tokens), token, *self._scope, call.target)

    async def find(self, call: CallFacts, *, seconds: float) -> RawResponse | None:
        """Return a cached answer or that of a read under way; `None` if this call has to be made.

        Raises:
            CareCloudError: the read under way failed as this one would or took too long, or the client was closed.
        """
        for _ in range(_MOST_WAITS):
            key = self.key(call)
            response = self._stored(call, key)
            if response is not None:
                return response
            flight = self.store.flight(key)
            if flight is None:
                return None
            seconds = await self._wait(call, flight, seconds)
            if self._context.closed:
                raise self._context.closed_error(under_way=f"while {call.operation.title} was under way")
            if flight.response is not None:
                return flight.response if self._may_share(flight, flight.response) else None
            if isinstance(flight.error, _SHARED_ERRORS):
                error = flight.error.fresh()
                error.correlation_id = None  # this call has one of its own
                raise error
            if isinstance(flight.error, Exception):
                return None
        return None

    def _stored(self, call: CallFacts, key: Hashable) -> RawResponse | None:
        if not self.tokens.has_token:
            return None  # the identity has to prove itself first
        return self.store.get(key) or self.store.get(self._own_key(call, self.tokens.token_digest))

    async def _wait(self, call: CallFacts, flight: Flight, seconds: float) -> float:
        """Wait for the end of another call's read; return the rest of the time."""
        began = self._context.clock.monotonic()
        with anyio.move_on_after(max(seconds, 0.0)) as scope:
            await flight.done.wait()
        if scope.cancelled_caught:
            problem = f"no answer in time (total); an identical read was under way{call.page}"
            raise transport_error(RequestTimeoutError, call.operation, problem)
        return seconds - (self._context.clock.monotonic() - began)

    def _may_share(self, flight: Flight, response: RawResponse) -> bool:
        return flight.tokens is self.tokens or not is_private(response.headers)

    def put(self, call: CallFacts, response: RawResponse, *, generation: int, token: str | None) -> None:
        """Cache an answer.

        Args:
            call: what was read.
            generation: the number of writes before the request that could change the answer.
            token: the digest of the token at the time of the request; `None` if there was none.
        """
        now = self.tokens.token_digest
        if now is None or token not in {None, now}:
            return  # the token changed meanwhile: it is unknown which one the request was sent with
        reference = is_reference(call.operation.path)
        shares = reference and self._application is not None and not is_private(response.headers)
        key = (self._application, call.target) if shares else self._own_key(call, now)
        self.store.put(key, response, part=part_of(call.operation.path), generation=generation)


class CacheUse:
    """How one call uses the cache: a write removes what it can change, a read looks for an answer and keeps its own.

    Other calls may wait for the answer of a read. One that is not to reuse replaces the cached answer, so that later
    reads do not get an older one. Both methods are called once, the second one however the call ends.

    Args:
        cached: the calls of the identity.
        reuses: whether a cached answer will do.
    """

    def __init__(self, cached: CachedCalls, *, reuses: bool) -> None:
        self._cached = cached
        self._reuses = reuses
        self._keeps = False
        self._token: str | None = None
        self._generation = 0
        self._flight: Flight | None = None

    async def find(self, call: CallFacts, *, seconds: float) -> RawResponse | None:
        """Begin; return the answer of an earlier call, or `None` if this one has to be sent.

        Args:
            call: the call.
            seconds: its time.

        Raises:
            CareCloudError: see `CachedCalls.find`.
        """
        cached, store = self._cached, self._cached.store
        if call.operation.clears_cache:
            store.begin_write(call.operation)
            return None
        if self._reuses:
            if cached.tokens.ended:
                return None  # sending it says so
            # A loop of hits must let other tasks run. This is before the lookup, so that no write comes in between.
            await anyio.lowlevel.checkpoint()
            response = await cached.find(call, seconds=seconds)
            if response is not None:
                return response
            call.notify("cache_missed")
            key = cached.key(call)
            if store.flight(key) is not None:  # another call's read failed, and a third one has begun
                return None
            self._flight = store.begin_read(key, cached.tokens, part=part_of(call.operation.path))
        self._keeps, self._token = True, cached.tokens.token_digest
        self._generation = store.generation(part_of(call.operation.path))
        return None

    def end(self, call: CallFacts, outcome: RawResponse | BaseException, *, lost: bool) -> None:
        """End with the response of the result, or the error.

        Args:
            call: the call.
            outcome: the response or the error.
            lost: whether an answer is missing, so that the server may carry the call out later.
        """
        if call.operation.clears_cache:
            self._cached.store.end_write(call.operation, lost=lost)
        if self._flight is not None:
            if isinstance(outcome, RawResponse):
                self._flight.response = outcome
            elif isinstance(outcome, Exception):
                self._flight.error = outcome
            self._cached.store.end_read(self._flight)
        if self._keeps and isinstance(outcome, RawResponse):
            self._cached.put(call, outcome, generation=self._generation, token=self._token)
