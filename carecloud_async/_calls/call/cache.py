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

import anyio
from attrs import field, frozen
from attrs.validators import optional

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.validators import number, whole_number
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.operation import Operation, RawResponse

__all__ = ["ResponseCache"]


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
