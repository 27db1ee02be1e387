"""Operation: one row of the table that methods, logs and errors use."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, field, frozen

from carecloud_async.calls.filters import Kind
from carecloud_async.project import Interface

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
        kinds: what each of them takes; see `carecloud_async.calls.filters`.
        interfaces: where it exists.
        safe_to_repeat: whether sending it twice is the same as once. Reads, PUT and DELETE are; a POST is only when it
            merely searches; a GET that issues credentials is not.
        paged: whether it takes `count` and `offset`.
        result_key: the name of the list inside `data`, for listings.
        id_field: the field that names a record of a listing; it never changes.
        authorized: whether a token is sent. If not, one is sent only after a 401.
        takes_credentials: whether it is a login whose 401 means the credentials in its body, and is final.
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
    def lists(self) -> tuple[str, ...]:
        """The query names that take several values."""
        return tuple(name for name, kind in self.kinds.items() if kind.several)

    @property
    def writes(self) -> bool:
        """Whether a call may change a record. A POST that may be repeated only searches, or is a login or logout."""
        return not self.safe_to_repeat or self.method not in {"GET", "HEAD", "POST"}
