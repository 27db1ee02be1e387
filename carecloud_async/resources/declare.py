"""Declared operations: a method's signature says what is sent, its return annotation what comes back.

    class Cards(Updating, call="cards"):
        @lists("getCards", "/cards", id_field="card_id")
        def list(self, *, customer_id: str | None = None, **paging: Unpack[Paging]) -> Listing[Card]:
            '''List cards that match all filters (`GET /cards`).'''

        @posts("postCard", "/cards", unwrap="card_id", interfaces=ENTERPRISE_ONLY)
        async def create(self, card: CardInput) -> str:
            '''Create a card and return its id (`POST /cards`).'''

The row of `OPERATIONS` is made from the same signature, so nothing is written twice:

- An argument is a path parameter where the path has a placeholder of its name. The rest is the query of a GET or
  DELETE, and the body of a POST or PUT (and of a DELETE with `has_body=True`).
- The annotation of a query argument is what the filter takes: `str | None` one text, `Sequence[str] | None` several,
  `str | Sequence[str] | None` either, `date | str | None` a day, `datetime | str | None` a moment; also `int`, `float`,
  `bool`, `Literal["a", "b"]`. A value of another kind is a `ConfigurationError` before anything is sent.
- An argument whose default is `None` is left out while it is `None`; one whose default is `UNSET` sends `None` as null.
- `**paging: Unpack[Paging]` takes `count`, `offset`, `sort_field` and `sort_direction`; `UnsortedPaging` the first two.
  Filters that several lists have in common are a TypedDict on top of these in `filters.py`.
- The return annotation is a model (`Card`), `None` for an answer without a body, or with `unwrap=` the one thing under
  `data` that is returned: `str`, `bool`, `int`, a model, `tuple[Model, ...]`. With `| None` the value may be missing.

A sub-resource is a class that its parent names: `cards: SubResource[CustomerCards] = SubResource(CustomerCards)`.
CONTRIBUTING.md says how to add a field, an operation or a family.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from inspect import Parameter
from types import MethodType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    get_args,
    overload,
)

import attrs

from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.secret_text import conceal, conceal_body
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.filters import check_filters
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async._lists.listings.listing import Comparer, Listing, listing
from carecloud_async._lists.paging.auto import Auto
from carecloud_async.resources.hints import check_sort_field, name_of, needs_parent, no_such_method
from carecloud_async.resources.signature import Signature, decoder_of, refuse_read_models, require_input

T = TypeVar("T")
L = TypeVar("L", bound=Callable[..., Listing[Any]])
R = TypeVar("R", bound="Resource")
F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])

#: Checks the bound arguments before anything is sent; the method raises its errors.
Check = Callable[[Any, Mapping[str, Any]], None]
#: Changes the values of a body before it is sent, such as a file into base64.
Prepare = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]


class UnsortedPaging(TypedDict, total=False):
    """Paging of the few lists that cannot be sorted."""

    count: int | Auto
    """Records per page; a server may send fewer. If left out: 100, and whatever is fastest for exports, `arrow()` and
    `prefetch()`."""
    offset: int
    """Records to skip."""


class Paging(UnsortedPaging, total=False):
    """Paging and order, which every paged list takes besides its filters."""

    sort_field: str | None
    """A first-level field to sort by, such as `last_change`."""
    sort_direction: Literal["ASC", "DESC"] | None
    """Ascending or descending."""


class Options(TypedDict, total=False):
    """Options that all declarations take.

    Attributes:
        unwrap: the name under `data` that alone is returned.
        check: checks the resource and the arguments before anything is sent.
        prepare: changes the values of the body before it is sent.
        has_body: whether the arguments that are not in the path are a body.
        path_params_in_body: path parameters that the body repeats.
        rename: arguments that have another name in the API, with that name.
        interfaces: where the operation exists; on both if left out.
        safe_to_repeat: whether sending it twice is the same as once; follows from the verb if left out.
        authorized: whether a token is sent; if not, one is sent after a 401.
        takes_credentials: whether it is a login: its 401 means that the credentials in the body are wrong.
    """

    unwrap: str
    check: Check
    prepare: Prepare
    has_body: bool
    path_params_in_body: tuple[str, ...]
    rename: Mapping[str, str]
    interfaces: frozenset[Interface]
    safe_to_repeat: bool
    authorized: bool
    takes_credentials: bool


class Resource:
    """A family of operations, or a part of one that is bound to its parent's ids.

    Args:
        caller: makes the calls.
        acting: whether the client is a view (`client.acting_as`) of another identity than its own.
        **bound: the parents' ids, by the path's names.
    """

    _operations: ClassVar[tuple[Operation, ...]] = ()

    def __init__(self, caller: Caller, *, acting: bool = False, **bound: str) -> None:
        self._caller = caller
        self._acting = acting
        self._bound = bound

    def __init_subclass__(cls, *, call: str = "") -> None:
        super().__init_subclass__()
        declarations = [value.declared for value in vars(cls).values() if hasattr(value, "declared")]
        for declaration in declarations:
            name = declaration.signature.function.__name__
            declaration.operation = attrs.evolve(declaration.operation, call=f"{call}.{name}")
        cls._operations = tuple(declaration.operation for declaration in declarations)
        if cls.__module__.startswith("carecloud_async."):  # a user's own families are not the API's
            REGISTRY.update({operation.operation_id: operation for operation in cls._operations})

    def __repr__(self) -> str:
        of = f"({', '.join(f'{name}=…' for name in self._bound)})" if self._bound else ""
        return f"<client.{name_of(type(self))}{of}>"

    @property
    def _comparer(self) -> Comparer | None:
        """What compares a list of the family with a source; `None` if its records have no keys."""
        return None

    if not TYPE_CHECKING:  # hidden from type checkers, which must still reject unknown names

        def __getattr__(self, name):  # noqa: ANN001, ANN204  (as above)
            raise AttributeError(no_such_method(self, name))

    def _call(self, request: CallRequest[T]) -> Coroutine[Any, Any, T]:
        """Make the call of an operation that is no list."""
        return self._caller.call(request)


class SubResource(Generic[R]):
    """Operations on what belongs to one record: `client.customers.cards(customer_id)`.

    Args:
        resource: its class, whose paths begin with the parent's id.
    """

    def __init__(self, resource: type[R]) -> None:
        self._resource = resource
        self._parent_id: str = resource._operations[0].placeholders[0]
        names = ("self", self._parent_id)
        self.__doc__ = resource.__doc__
        self.__signature__: inspect.Signature = inspect.Signature(
            [Parameter(name, Parameter.POSITIONAL_ONLY) for name in names]
        )

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__: str = name
        self.__qualname__: str = f"{owner.__name__}.{name}"

    def __call__(self, family: Resource, /, *parent_id: str) -> R:
        """Return the operations on what belongs to the record with this id."""
        if len(parent_id) != 1:
            raise TypeError(needs_parent(self._resource, self._parent_id))
        return self._resource(family._caller, acting=family._acting, **{self._parent_id: parent_id[0]})

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204  (as above)
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(needs_parent(self._resource, self._parent_id, name))

    @overload
    def __get__(self, family: None, owner: type) -> Self: ...

    @overload
    def __get__(self, family: Resource, owner: type) -> Callable[[str], R]: ...

    def __get__(self, family: Resource | None, owner: type) -> Self | Callable[[str], R]:
        return self if family is None else MethodType(self, family)


#: The operations of every resource that has been imported, by the vendor's id.
REGISTRY: dict[str, Operation] = {}


class Declared:
    """One declared method: its arguments, its operation and its result.

    Args:
        function: the method as it was written.
        facts: the fields of the `Operation` that the signature does not give.
        options: see `Options`.
    """

    def __init__(self, function: Any, facts: Mapping[str, Any], options: Options) -> None:
        self.signature: Signature = Signature(function, facts["path"], options.get("rename", {}))
        self.has_body: bool = options.get("has_body", facts["method"] in {"POST", "PUT"})
        self.unwrap: str | None = options.get("unwrap")
        self.check: Check | None = options.get("check")
        self.prepare: Prepare | None = options.get("prepare")
        self.path_params_in_body: tuple[str, ...] = options.get("path_params_in_body", ())
        signature, known = self.signature, {"interfaces", "safe_to_repeat", "authorized", "takes_credentials"}
        query = signature.unpacked if self.has_body else signature.kinds
        self.operation: Operation = Operation(
            call="",
            parameters=tuple(query),
            kinds=query,
            **{name: value for name, value in options.items() if name in known},  # type: ignore[arg-type]
            **facts,
        )

    def bind(
        self, resource: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Mapping[str, Any], dict[str, Any], dict[str, Any] | None]:
        """Bind arguments as Python would, check them, and return the values of the path, the query and the body.

        Values of the query and the body print as stars from here on, also in `kwargs`, which the caller's frame holds.

        Raises:
            TypeError: the arguments do not fit; see `Signature.bind`.
            ConfigurationError: a read model where an input is due, at any depth.
        """
        signature = self.signature
        for name in kwargs.keys() - signature.in_path.keys():
            in_body = self.has_body and name not in signature.unpacked
            kwargs[name] = conceal_body(kwargs[name]) if in_body else conceal(kwargs[name])
        values = signature.bind(resource, args, kwargs)
        if self.check is not None:
            self.check(resource, values)
        path_params = signature.path_params(resource._bound, values)
        rest = signature.query_or_body(values)
        if not self.has_body:
            return path_params, rest | values, None
        return path_params, values, self._body(path_params, rest)

    def path_to(self, resource: Resource, record_id: str) -> dict[str, str]:
        """Return the ids in the path to one record: those of its parents, and its own."""
        (name,) = self.signature.in_path.values()
        return {**resource._bound, name: record_id}

    def _body(self, path_params: Mapping[str, Any], rest: dict[str, Any]) -> dict[str, Any] | None:
        if not self.signature.outside_path and not self.path_params_in_body:
            return None
        body = {name: path_params[name] for name in self.path_params_in_body} | rest
        for name, wanted in self.inputs:
            require_input(body[name], wanted)
        refuse_read_models(body, self.signature.function.__name__)
        return body

    @functools.cached_property
    def inputs(self) -> tuple[tuple[str, Any], ...]:
        """The required arguments that are one input each, by the API's names, with their classes."""
        signature, hints = self.signature, self.signature.function.__annotations__
        required = [name for name in signature.outside_path if name in signature.required]
        single = [name for name in required if hints[name].endswith("Input") and hints[name].isidentifier()]
        return tuple((signature.outside_path[name], signature.hint(name)) for name in single)

    @functools.cached_property
    def into(self) -> Any:
        """The model of a list's records."""
        return get_args(self.signature.hint("return"))[0]

    @functools.cached_property
    def decode(self) -> Callable[[bytes], Any]:
        """The function that makes the result of an answer's body."""
        return decoder_of(self.signature.hint("return"), self.unwrap)


def declared(method: Any) -> Declared:
    """Return the declaration of a method, such as `Customers.list`."""
    declaration: Declared = method.declared
    return declaration


def lists(
    operation_id: str,
    path: str,
    list_key: str = "",
    *,
    id_field: str | None,
    method: Literal["GET", "POST"] = "GET",
    paged: bool = True,
    **options: Unpack[Options],
) -> Callable[[L], L]:
    """Declare a list.

    Args:
        operation_id: the vendor's name.
        path: the path template.
        list_key: the name of the list under `data`, if it is not the path's last segment (`card_types` at
            `/card-types`).
        id_field: the field that names a record and never changes; `None` if nothing does.
        method: `POST` for a search: its arguments, except those of paging, are the body; it may be repeated.
        paged: whether it takes `count` and `offset`.
        **options: see `Options`.
    """
    facts = {
        "operation_id": operation_id,
        "method": method,
        "path": path,
        "paged": paged,
        "safe_to_repeat": True,
        "result_key": list_key or path.rpartition("/")[2].replace("-", "_"),
        "id_field": id_field,
    }

    def declare(function: L) -> L:
        declaration = Declared(function, facts, options)

        @functools.wraps(function)
        def ask(self: Resource, *args: Any, **kwargs: Any) -> Listing[Any]:
            args = conceal_body(args) if declaration.has_body else args
            path_params, query, body = declaration.bind(self, args, kwargs)
            if "sort_field" in query:
                check_sort_field(query["sort_field"], declaration.into)
            return listing(
                self._caller,
                declaration.operation,
                declaration.into,
                path_params=path_params,
                params=query,
                json=body,
                compare=self._comparer,
            )

        ask.declared = declaration  # type: ignore[attr-defined]
        return cast("L", ask)

    return declare


def gets(operation_id: str, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
    """Declare a GET; the arguments are the vendor's name, the path template, and `Options`."""
    return _declares("GET", operation_id, path, options)


def posts(operation_id: str, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
    """Declare a POST; see `gets`."""
    return _declares("POST", operation_id, path, options)


def puts(operation_id: str, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
    """Declare a PUT; see `gets`."""
    return _declares("PUT", operation_id, path, options)


def deletes(operation_id: str, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
    """Declare a DELETE; see `gets`."""
    return _declares("DELETE", operation_id, path, options)


def _declares(method: str, operation_id: str, path: str, options: Options) -> Callable[[F], F]:
    def declare(function: F) -> F:
        declaration = Declared(function, {"operation_id": operation_id, "method": method, "path": path}, options)

        @functools.wraps(function)
        async def ask(self: Resource, *args: Any, **kwargs: Any) -> Any:
            args = conceal_body(args) if declaration.has_body else args
            path_params, query, body = declaration.bind(self, args, kwargs)
            if declaration.prepare is not None and body is not None:
                await declaration.prepare(body)
            operation, decode = declaration.operation, declaration.decode
            params = check_filters(operation.kinds, query) if query else None
            return await self._call(
                CallRequest(operation, decode=decode, path_params=path_params, params=params, json=body)
            )

        ask.declared = declaration  # type: ignore[attr-defined]
        return cast("F", ask)

    return declare
