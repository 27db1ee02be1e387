"""Record requests: the last ones and their counts."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from threading import Lock
from typing import Any, Final, TypeAlias

import attrs

from carecloud_async.sandbox.api.operations import Route
from carecloud_async.sandbox.server.faults import matches
from carecloud_async.sandbox.state.facts import ApiOperation


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecordedRequest:
    """A request as it was received. Its repr shows no secrets, but its fields hold them.

    Attributes:
        method: HTTP verb.
        route: what the path leads to.
        path: the path as it was sent.
        query: names and values in order.
        headers: headers with lower-case names; of repeated ones the last.
        body: the bytes.
    """

    method: str
    route: Route
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<RecordedRequest {self.name}>"

    @property
    def template(self) -> str:
        """Path template; where no operation has the path, its first segment."""
        return self.route.template

    @property
    def operation(self) -> ApiOperation | None:
        """What the API declares of the operation, or `None` if there is none."""
        return self.route.by_method.get(self.method)

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


#: Called with a request.
Hook: TypeAlias = Callable[[RecordedRequest], Awaitable[None] | None]
#: Number of requests that are kept.
_KEPT: Final = 5000


class RequestLog:
    """Requests as they were received: the last ones and their counts.

    Attributes:
        requests: the last requests, oldest first.
        in_flight: number of requests in progress.
        on_request: called with each request before it is handled; may be async, which delays the request.
        on_page: called with the request of each list page when its records no longer change, before it is sent; may
            change the state, and may be async.
    """

    def __init__(self) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=_KEPT)
        self.in_flight: int = 0
        self.on_request: Hook | None = None
        self.on_page: Hook | None = None
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._log_lock = Lock()

    @property
    def statuses(self) -> Counter[int]:
        """Number of answers by status."""
        with self._log_lock:
            return Counter(self._statuses)

    @property
    def logins(self) -> int:
        """Number of enterprise logins that were asked for, by password or single sign-on, successful or not."""
        return self.count("POST /users/actions/login") + self.count("POST /users/actions/sso-login")

    def count(self, pattern: str = "*") -> int:
        """Return the number of requests that came in.

        Args:
            pattern: verb and path template, such as `GET /customers/{customer_id}`; `*` matches anything.
        """
        with self._log_lock:
            return sum(number for name, number in self._counts.items() if matches(pattern, name))

    def forget_requests(self) -> None:
        """Reset the counts and the recorded requests."""
        with self._log_lock:
            for kept in (self.requests, self._counts, self._statuses):
                kept.clear()

    def begin_request(self, request: RecordedRequest) -> None:
        """Record a request; the server calls it."""
        with self._log_lock:
            self.requests.append(request)
            self._counts[request.name] += 1
            self.in_flight += 1

    def end_request(self, *, status: int | None) -> None:
        """Count the status of an answer, `None` if there is none; the server calls it."""
        with self._log_lock:
            self.in_flight -= 1
            if status is not None:
                self._statuses[status] += 1
