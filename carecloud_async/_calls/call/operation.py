"""Operation, a row of the table that methods, logs and errors use; the CallRequest of one call, and its Answer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, Generic, TypeVar

from attrs import Factory, field, frozen

from carecloud_async._base.project import Interface
from carecloud_async._calls.call.filters import Kind

#: A placeholder of a path template, with its name as the group.
PLACEHOLDER = re.compile(r"\{(\w+)\}")

BOTH = frozenset(Interface)
ENTERPRISE_ONLY = frozenset({Interface.ENTERPRISE})
CUSTOMER_ONLY = frozenset({Interface.CUSTOMER})

#: The verbs that may be sent twice unless an operation says otherwise (RFC 9110, 9.2.2).
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})

#: The query names that all paged listings share.
PAGING = ("count", "offset", "sort_field", "sort_direction")


@frozen(kw_only=True)
class Operation:
    """One operation of the API.

    Attributes:
        operation_id: the vendor's own name, the key in `OPERATIONS`.
        method: the HTTP verb.
        path: the path template below the version, such as `/customers/{customer_id}`. Logs and errors show it.
        call: the dotted name from the client, such as `customers.list`.
        parameters: the query names that the operation takes.
        kinds: the kind of value that each parameter takes; see `carecloud_async._calls.call.filters`.
        interfaces: where it exists.
        safe_to_repeat: whether sending it twice is the same as once. Reads, PUT and DELETE are; a POST is only when it
            merely searches; a GET that issues credentials is not.
        paged: whether it takes `count` and `offset`.
        result_key: the name of the list inside `data`, for listings.
        id_field: the field that names a record of a listing; it never changes.
        authorized: whether a token is sent. If not, one is sent only after a 401.
        takes_credentials: whether it is a login. Its 401 means wrong credentials: the token is not renewed, and
            the call is not repeated.
        title: the operation as errors name it, such as `GET /customers`.
    """

    operation_id: str
    method: str
    path: str
    call: str
    parameters: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] = field(factory=dict, eq=False, repr=False)
    interfaces: frozenset[Interface] = BOTH
    safe_to_repeat: bool = Factory(lambda self: self.method in REPEATABLE, takes_self=True)
    paged: bool = False
    result_key: str | None = None
    id_field: str | None = None
    authorized: bool = True
    takes_credentials: bool = False
    title: str = field(
        init=False, repr=False, default=Factory(lambda self: f"{self.method} {self.path}", takes_self=True)
    )

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names of the path's placeholders, outermost first."""
        return tuple(PLACEHOLDER.findall(self.path))

    @property
    def multi_value_parameters(self) -> tuple[str, ...]:
        """The query names that take several values."""
        return tuple(name for name, kind in self.kinds.items() if kind.several)

    @property
    def outcome_matters(self) -> bool:
        """Whether a lost answer leaves in doubt what the call did.

        A POST that may be repeated only searches, or is a login or logout. A GET that issues credentials may not be.
        """
        return not self.safe_to_repeat or self.method not in {"GET", "HEAD", "POST"}

    @property
    def clears_cache(self) -> bool:
        """Whether cached reads may be outdated after a call: after every one but a GET, unless it reads a list."""
        return self.method not in {"GET", "HEAD"} and self.result_key is None


T = TypeVar("T")


@frozen(eq=False)
class CallRequest(Generic[T]):
    """The arguments of one call.

    Attributes:
        decode: turns the body of the answer into the result; raises `codec.Malformed` for what the API never sends.
        path_params: values of the path's placeholders.
        params: query parameters; `None` values are left out.
        json: the body before it is encoded; `None` for no body.
        bearer: a token to send instead of the identity's own.
        headers: headers to add to the request.
        login: whether it is a login: any refusal is then about credentials, and other calls wait for it.
        within: the longest time until it is written, and written again with another token (seconds): what it was made
            from is too old then. It counts from the call's begin, with all waits.
        slices: decodes a large body in slices, with the same result as `decode`; see `CooperativeScheduler`.
    """

    operation: Operation
    decode: Callable[[bytes], T] = field(kw_only=True, repr=False)
    path_params: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
    params: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
    json: Any = field(default=None, kw_only=True, repr=False)
    bearer: str | None = field(default=None, kw_only=True, repr=False)
    headers: Mapping[str, str] | None = field(default=None, kw_only=True, repr=False)
    login: bool = field(default=False, kw_only=True)
    within: float = field(default=math.inf, kw_only=True)
    slices: Callable[[bytes], Generator[None, None, T]] | None = field(default=None, kw_only=True, repr=False)


@frozen
class RawResponse:
    """A response with a success status.

    Attributes:
        status: the HTTP status, 2xx.
        headers: its headers; names are case-insensitive.
        body: its bytes, decompressed.
        sent_at: when the attempt began, on the monotonic clock.
        attempts: the number of attempts made; see `CallRecord.attempts`.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: float
    attempts: int = 1


@frozen
class Answer(Generic[T]):
    """A decoded answer and its response.

    Attributes:
        data: what `CallRequest.decode` made of the body.
    """

    data: T
    response: RawResponse
