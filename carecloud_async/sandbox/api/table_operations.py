"""The operations of the API that have no handler of their own, all served from tables."""

from __future__ import annotations

from functools import cache
from typing import Final

from carecloud_async.sandbox.api.calls import Access, Handler, Interface, Operation
from carecloud_async.sandbox.api.table_input import read_only_names, wrapper_of
from carecloud_async.sandbox.api.table_lists import TableList
from carecloud_async.sandbox.api.table_records import TableRecord
from carecloud_async.sandbox.state.facts import ApiOperation, api_facts
from carecloud_async.sandbox.state.plans import Plans, api_plans

_INTERFACES: Final = {
    "both": frozenset(Interface),
    "enterprise": frozenset({Interface.ENTERPRISE}),
    "customer": frozenset({Interface.CUSTOMER}),
}


@cache
def table_operations(served: frozenset[str]) -> tuple[Operation, ...]:
    """The operations on tables; computed once in a process.

    Args:
        served: `VERB template` of operations with their own handler; they are left out.
    """
    plans = api_plans()
    return tuple(
        _operation(one, plans) for one in api_facts().operations if f"{one.method} {one.template}" not in served
    )


def _operation(one: ApiOperation, plans: Plans) -> Operation:
    return Operation(
        method=one.method,
        template=one.template,
        handler=_handler(one, plans),
        access=_access(one, plans),
        interfaces=_INTERFACES[one.interface],
        query_names=one.query_names,
        read_only=read_only_names(plans, one.body),
    )


def _handler(one: ApiOperation, plans: Plans) -> Handler:
    if one.key:
        return TableList(one, plans).page
    record = TableRecord(one, plans)
    if one.template.endswith("/batch"):
        return record.delete_batch if one.method == "DELETE" else record.batch
    if "/actions/" in one.template or (one.method == "GET" and not one.template.endswith("}")):
        return record.act
    return {"GET": record.read, "POST": record.create, "PUT": record.replace, "DELETE": record.delete}[one.method]


def _access(one: ApiOperation, plans: Plans) -> Access:
    if not one.authorized:
        return Access.OPEN
    if one.interface == "enterprise":
        return Access.USER
    wrapper = wrapper_of(plans, one.body)
    names = {field.name for field in (*one.query, *one.body)} | set(one.path_names)
    names |= plans.field_names(one.result) | plans.field_names("" if wrapper is None else wrapper.item)
    return Access.CUSTOMER if "customer_id" in names else Access.DEVICE
