"""Record requests: the last ones, their counts, and the rules of the API that they broke."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping
from threading import Lock
from typing import Any

import attrs

from carecloud_async.sandbox.server.faults import matches


@attrs.define(kw_only=True)
class RecordedRequest:
    """A request as it was received. Its repr shows no secrets, but its fields hold them.

    Attributes:
        method: HTTP verb.
        template: Path template; where no operation has the path, its first segment.
        interface: `enterprise-interface` or `customer-interface`; empty where the path is not the API's.
        path: The path as it was sent.
        query: Names and values in order.
        headers: Headers with lower-case names; of repeated ones the last.
        body: The bytes.
        status: Status of the answer; `None` until it is sent, and if the connection was cut.
    """

    method: str
    template: str
    interface: str = attrs.field(repr=False)
    path: str = attrs.field(repr=False)
    query: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    status: int | None = None

    @property
    def name(self) -> str:
        """Verb and path template."""
        return f"{self.method} {self.template}"

    @property
    def token(self) -> str | None:
        """The bearer token, or `None`."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value if scheme.lower() == "bearer" and value else None

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Recorder:
    """Counts everything, keeps the last requests.

    Args:
        keep: Number of requests that are kept.
    """

    def __init__(self, *, keep: int) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=keep)
        self.violations: list[str] = []
        self.cookies: list[str] = []
        self.in_flight: int = 0
        self.max_in_flight: int = 0
        self._keep = keep
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._lock = Lock()

    def begin(self, request: RecordedRequest) -> None:
        """Record a request."""
        with self._lock:
            self.requests.append(request)
            self._counts[request.name] += 1
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            if "cookie" in request.headers:
                self._add(self.cookies, request.headers["cookie"])

    def end(self, request: RecordedRequest, *, status: int | None) -> None:
        """Record the status of its answer; `None` if there is none."""
        with self._lock:
            request.status = status
            self.in_flight -= 1
            if status is not None:
                self._statuses[status] += 1

    def violation(self, request: RecordedRequest, text: str) -> None:
        """Record that a request broke a rule of the API; the text must hold no secret."""
        with self._lock:
            self._add(self.violations, f"{request.name}: {text}")

    def count(self, pattern: str) -> int:
        """Return the number of requests whose method and template match; `*` matches anything."""
        with self._lock:
            return sum(number for name, number in self._counts.items() if matches(pattern, name))

    def statuses(self) -> Counter[int]:
        """Return the number of answers by status."""
        with self._lock:
            return Counter(self._statuses)

    def clear(self) -> None:
        """Reset everything except the number of requests in flight."""
        with self._lock:
            self.requests.clear()
            self.violations.clear()
            self.cookies.clear()
            self._counts.clear()
            self._statuses.clear()
            self.max_in_flight = self.in_flight

    def _add(self, notes: list[str], text: str) -> None:
        if len(notes) < self._keep:
            notes.append(text)
