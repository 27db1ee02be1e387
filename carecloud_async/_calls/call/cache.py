"""The cache: answers that are kept for some time, and reads under way that other calls may share.

Only safe GETs of known operations are looked up: an unknown one might issue a token. The cache is safe because:

- An answer is stored under the identity and the token of its request. Only lists of `REFERENCE`
  are stored under the application, and found only by identities that have logged in.
- A write removes each answer that it can change, and each such read under way, when it begins and again when it ends.
  The answer of a read that began before is not stored. Calls that wait for that read get it: they began before, too.

**What a write can change.** The cache has two parts: reference data, and all else. Every write changes all else, since
a purchase changes points, vouchers and segments too. A write to a family that has reference data (`POST /stores`, and
`POST /products/batch` for the tags of products) changes reference data as well, and so does one of an operation that
the SDK does not know.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from attrs import field, frozen
from attrs.validators import optional

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.validators import number, whole_number
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.failure import transport_error
from carecloud_async._calls.call.operation import CallRequest, Operation, RawResponse
from carecloud_async.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RequestTimeoutError,
    ServerError,
)

if TYPE_CHECKING:
    from carecloud_async._calls.call.call import Call

__all__ = ["ResponseCache"]

#: Errors that depend on the request alone, shared with concurrent readers; those of a token or a deadline are not.
_SHARED_ERRORS = (BadRequestError, MethodNotAllowedError, NotFoundError, ServerError)
#: How often a call waits for another call's read before it makes its own.
_MOST_WAITS = 3
#: The application of an identity without one; see `AuthProvider.application_id`.
_NO_APPLICATION = "-"

#: Families whose lists and records are reference data: settings of the project, the same for all who use one
#: application, and about no customer.
REFERENCE = frozenset({
    "agreements", "booking-statuses", "booking-ticket-properties", "card-types", "communication-channels", "countries",
    "credit-types", "currencies", "customer-address-types", "customer-properties", "customer-relation-types",
    "customer-sources", "customer-types", "event-groups", "event-properties", "event-types", "interests", "languages",
    "partner-properties", "payment-types", "point-types", "product-brands", "product-groups", "product-properties",
    "product-reservation-external-list-types", "product-reservation-sources", "purchase-item-properties",
    "purchase-item-types", "purchase-properties", "purchase-types", "reward-properties", "reward-types", "statuses",
    "store-groups", "store-properties", "stores", "task-properties", "task-states", "task-types", "voucher-properties",
})  # fmt: skip
#: Reference data below other families.
_MORE_REFERENCE = frozenset({"/event-types/{event_type_id}/event-properties", "/products/tags", "/rewards/tags"})
_WITH_REFERENCE = REFERENCE | {path.split("/")[1] for path in _MORE_REFERENCE}

#: The approximate size of an answer without its body (bytes).
_OVERHEAD = 2048
#: How long nothing is cached after a write whose answer was lost: the server may carry it out late (seconds).
LOST_WRITE_SECONDS = 30.0

_DIRECTIVE = re.compile(r'([a-z-]+)(?:\s*=\s*"?([^",]*)"?)?')
_DIGITS = re.compile(r"[0-9]+")
#: The longest time that a header can ask for, in seconds (RFC 9111, 1.2.2).
_FOREVER = 2.0**31


@frozen(kw_only=True)
class ResponseCache:
    """Settings of a client's cache. Each client has its own, in memory.

    Answers of reads are kept as long as their `Cache-Control: max-age` says (RFC 9111), and identical reads under way
    become one. A call that begins after a write by this client gets no answer that the write can have changed.

    Attributes:
        max_entries: the most answers that are kept; the least recently used one is removed first.
        max_bytes: the most memory that they take, approximately.
        reference_seconds: how long reference data (currencies, stores, product groups …) is kept, in seconds,
            if the server does not ask for longer; as the server says if left out.
    """

    max_entries: int = field(default=1000, validator=whole_number(least=1))
    max_bytes: int = field(default=64 * 2**20, validator=whole_number(least=1))
    reference_seconds: float | None = field(default=None, validator=optional(number()))


class Part(Enum):
    """A part of the cache, which a write can change."""

    REFERENCE = auto()
    OTHERS = auto()


def _changed_parts(operation: Operation) -> set[Part]:
    """Return the parts of the cache that a write can change; see the module."""
    changes_reference = not operation.operation_id or operation.path.split("/")[1] in _WITH_REFERENCE
    return set(Part) if changes_reference else {Part.OTHERS}


@cache
def is_reference(path: str) -> bool:
    """Return whether a known operation's path template belongs to reference data."""
    family, *rest = path.strip("/").split("/")
    one_record = len(rest) == 1 and rest[0].startswith("{")
    return (family in REFERENCE and (not rest or one_record)) or path in _MORE_REFERENCE


def is_private(headers: Mapping[str, str]) -> bool:
    """Return whether the server allows only the requesting identity to reuse an answer."""
    return "private" in _directives(headers)


def seconds_to_keep(headers: Mapping[str, str], *, at_least: float = 0.0) -> float:
    """Return how long an answer may be kept from its request on, in seconds; 0 for not at all.

    Args:
        headers: the answer's headers.
        at_least: the user's setting, which `no-store` and `no-cache` override.
    """
    directives = _directives(headers)
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    seconds = _seconds(directives.get("max-age"))
    return max(seconds - _seconds(headers.get("age")), at_least, 0.0)


def _directives(headers: Mapping[str, str]) -> dict[str, str]:
    return {match[1]: match[2] or "" for match in _DIRECTIVE.finditer((headers.get("cache-control") or "").lower())}


def _seconds(text: str | None) -> float:
    text = (text or "").strip()
    return min(float(text), _FOREVER) if _DIGITS.fullmatch(text) else 0.0


@frozen
class _Entry:
    response: RawResponse
    until: float
    part: Part

    @property
    def size(self) -> int:
        return len(self.response.body) + _OVERHEAD


class Flight:
    """A read under way that identical ones wait for. It holds their outcome; no outcome if it was cancelled.

    Args:
        key: what is read, and for whom.
        tokens: the tokens of the requesting identity.
        part: the part of the cache that it belongs to.
    """

    def __init__(self, key: Hashable, tokens: Tokens, part: Part) -> None:
        self.key = key
        self.tokens = tokens
        self.part = part
        self.done: anyio.Event = anyio.Event()
        self.response: RawResponse | None = None
        self.error: Exception | None = None


class AnswerStore:
    """The answers that one client keeps, and its reads under way.

    Args:
        settings: how much is kept, and for how long.
    """

    def __init__(self, settings: ResponseCache, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._bytes = 0
        #: The reads under way that began after the last write which can change them.
        self.flights: dict[Hashable, Flight] = {}
        #: By part: the number of writes that could change it, and until when nothing is stored after a lost one.
        self._writes: dict[Part, int] = dict.fromkeys(Part, 0)
        self._closed_until: dict[Part, float] = dict.fromkeys(Part, 0.0)

    def get(self, key: Hashable) -> RawResponse | None:
        """Return the answer stored under a key, if it is still fresh."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._clock.monotonic() >= entry.until:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.response

    def generation(self, part: Part) -> int:
        """Return the number of writes that could change a part."""
        return self._writes[part]

    def put(self, key: Hashable, response: RawResponse, *, part: Part, generation: int) -> None:
        """Store an answer as long as it may be kept, unless a write that can change it began meanwhile.

        Args:
            key: what was read, and for whom.
            part: the part of the cache that it belongs to.
            generation: the number of the writes before it was asked for that could change the part.
        """
        at_least = (self._settings.reference_seconds or 0.0) if part is Part.REFERENCE else 0.0
        entry = _Entry(response, response.sent_at + seconds_to_keep(response.headers, at_least=at_least), part)
        now = self._clock.monotonic()
        if generation != self._writes[part] or now < self._closed_until[part] or entry.until <= now:
            return
        if response.status != 200 or entry.size > self._settings.max_bytes:
            return
        before = self._entries.get(key)
        if before is not None and before.response.sent_at > response.sent_at:
            return  # the answer to a later request is stored already
        self._drop(key)
        self._entries[key] = entry
        self._bytes += entry.size
        while len(self._entries) > self._settings.max_entries or self._bytes > self._settings.max_bytes:
            self._drop(next(iter(self._entries)))

    def begin_write(self, operation: Operation) -> None:
        """Remove what an operation can change: from now on the server's data may differ."""
        parts = _changed_parts(operation)
        for part in parts:
            self._writes[part] += 1
        for key in [key for key, entry in self._entries.items() if entry.part in parts]:
            self._drop(key)
        # Calls that wait already get their answer: they began before the write.
        self.flights = {key: flight for key, flight in self.flights.items() if flight.part not in parts}

    def end_write(self, operation: Operation, *, lost: bool) -> None:
        """Remove it again: reads during the write may have been answered before it took effect.

        Args:
            operation: what was called.
            lost: whether an answer is missing, so that it may take effect only later.
        """
        self.begin_write(operation)
        if lost:
            until = self._clock.monotonic() + LOST_WRITE_SECONDS
            self._closed_until.update(dict.fromkeys(_changed_parts(operation), until))

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size


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
        self, call: Call[Any], store: AnswerStore, *, tokens: Tokens, scope: tuple[str, str], reuses: bool
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
            if call.context.closed:
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
