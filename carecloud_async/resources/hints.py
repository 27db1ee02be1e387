"""What to write where a method or an argument does not exist."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

from carecloud_async._base.codec.fields import core_types, paths_to
from carecloud_async._base.runtime.secret_text import conceal_body
from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async._calls.call.operation import Operation
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, None]])

#: What the API does not do with a family that lacks the method.
_VERBS = {
    "create": "creates no",
    "delete": "deletes no",
    "get": "gives no single",
    "list": "lists no",
    "remove": "deletes no",
    "replace": "replaces no",
    "update": "changes no",
}

#: As similar to a field as a misspelt name is, and no other field of the server: `name` is not meant as `icon_name`.
_MISSPELT = 0.8
#: With what the names of a search for records begin in other libraries.
_SEARCHES = ("all", "by_", "filter", "find", "get_all", "get_by", "lookup", "query", "search", "where")
#: What finds one record of a family, in `carecloud_async.workflows`.
_FINDERS = {
    "customers": "find_customer (by the id in another system) and find_at_point_of_sale (by card, e-mail or phone)",
    "purchases": "find_purchase (by the bill's id)",
}


#: Why families are not written in bulk, where more is to be said than that the API only reads them.
_NOT_IN_BULK = {
    "credit_history": "it is what operations on credits leave behind: write credits",
    "customers.status_records": "write statuses, whose rows name their customers",
    "messages": "a message holds nothing of yours by which it could be found again, so that one whose answer is lost "
    "would be sent twice or never: send each with send_message",
    "one_time_password": "a password whose answer is lost cannot be found again: send each with send",
    "point_history": "it is what operations on points leave behind: write points",
    "point_reservations": "a reservation that was used or freed looks like one that never existed, so that it "
    "would be made twice: reserve each with reserve_points",
    "purchases.purchase_items": "write purchases, which are sent with their items",
    "rewards": "write vouchers, whose rows name their rewards",
    "tokens": "credentials are not data",
    "users": "the API only reads users",
    **dict.fromkeys(
        ("segments", "segments.segment_records", "customers.segment_records"),
        "the customers of a segment are a set: bring it in line with a source by segments.sync, or by the command "
        "carecloud segment",
    ),
    **{
        f"customers.{name}": f"write {name}, whose rows name their customers"
        for name in ("cards", "events", "points", "purchases", "vouchers")
    },
}


def why_not_in_bulk(call: str, operations: Iterable[Operation]) -> str:
    """Return why a family is not written in bulk.

    Args:
        call: its name from the client.
    """
    why = _NOT_IN_BULK.get(call)
    if why is not None:
        return why
    if all(operation.safe_to_repeat and operation.method in {"GET", "POST"} for operation in operations):
        return f"the API only reads {call.rpartition('.')[2].replace('_', ' ')}"
    return "nothing shows afterwards whether a call whose answer is lost was done: make the calls one by one"


def no_such_method(resource: Any, name: str) -> str:
    """Return the message about a method that a family does not have: what the API does not do, or the nearest name."""
    cls = type(resource)
    call = name_of(cls)
    message = f"client.{call} has no {name!r}"
    if name.startswith("_"):
        return message
    if hasattr(cls, "list") and (way := _of_the_list(name, call)):
        return f"{message}: {way}"
    if name in {"bulk_write", "bulk_writer"}:
        return f"{message}: {why_not_in_bulk(call, cls._operations)}"
    if name in _VERBS:
        return f"{message}: the API {_VERBS[name]} {call.rpartition('.')[2].replace('_', ' ')}"
    close = nearest(name, [method for method in dir(cls) if not method.startswith("_")])
    return f"{message}: did you mean {close}?" if close else message


def name_of(resource: type[Any]) -> str:
    """Return the name of a family from the client, such as `customers.cards`."""
    operations: tuple[Operation, ...] = resource._operations
    return operations[0].call.rpartition(".")[0] if operations else resource.__name__


def _of_the_list(name: str, call: str) -> str:
    """Return what to write for a name that a family does not have and its list does; empty if neither has it."""
    if name == "count":
        name = "total"
    if hasattr(Listing, name):
        return f"a list has it, write client.{call}.list(…).{name}(…)"
    if not name.startswith(_SEARCHES):
        return ""
    finders = f"; carecloud_async.workflows has {_FINDERS[call]}" if call in _FINDERS else ""
    return f"write client.{call}.list(…) with filters, and await its first() for one record{finders}"


def needs_parent(resource: type[Any], parent_id: str, name: str = "") -> str:
    """Return the message about a sub-resource that is used without the id of its parent.

    Args:
        resource: the sub-resource.
        parent_id: the name of the parent's id.
        name: the method that was asked of it.
    """
    call = f"client.{name_of(resource)}"
    method = f".{name}(…)" if name and hasattr(resource, name) else ""
    return f"{call} belongs to one record, whose id it needs: write {call}({parent_id}){method}"


def check_sort_field(name: Any, model: Any) -> None:
    """Check that a list is not sorted by a misspelt field, or by one of an object within its records.

    A name that resembles no field is sent: a server may know more fields than the model.

    Raises:
        ConfigurationError: it is; the message has the nearest field.
    """
    known = core_types(model)
    if not isinstance(name, str) or name in known:
        return
    if within := paths_to(name.rpartition(".")[2], model):
        raise ConfigurationError(
            f"sort_field takes a first-level field of {model.__name__}, and this one is in {within[0]}: sort the "
            "records yourself"
        )
    if close := nearest(name, known, similarity=_MISSPELT):
        raise ConfigurationError(
            f"sort_field is not a field of {model.__name__}: did you mean {close}? client.listing(path, params=…) "
            "sends any name"
        )


def changes_in_a_dict(update: F) -> F:
    """Let an `update` that is given fields as arguments raise with the dict to write."""

    @functools.wraps(update)
    async def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        args, kwargs = conceal_body(args), {name: conceal_body(value) for name, value in kwargs.items()}
        model = self._merge_rules().model
        for name in kwargs:
            path = next(iter(paths_to(name, model)), None)
            if path is None and name not in {field.name for field in model.__attrs_attrs__}:
                continue
            parts = [*(path.split(".") if path else []), name]
            written = "".join(f'{{"{part}": ' for part in parts) + "…" + "}" * len(parts)
            where = f"{type(self).__name__}.update()"
            raise TypeError(f"{where} takes the changed fields in a dict: write update(record_id, {written})")
        await update(self, *args, **kwargs)

    return cast("F", checked)
