"""Facts about the API: what a description says of operations and schemas, without its prose."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

__all__ = ["PAGING", "Answer", "Facts", "Operation", "Schema", "Value"]

#: The query names of a paged list that are not filters.
PAGING = ("count", "offset", "sort_field", "sort_direction")


@frozen(kw_only=True)
class Value:
    """A query parameter, or a field of a body, an answer or a schema.

    Attributes:
        name: its name; a field of an object without a name is dotted (`booking.customer_id`).
        type: `string`, `integer`, `number`, `boolean`, `object`, `any` or a schema's name; `[]` behind it is a list,
            `|` stands between alternatives.
        format: `date`, `timestamp`, `time`, or another format that the description names; "" if none.
        required: whether it must be sent.
        pattern: regular expression that its texts match; "" if none.
        read_only: whether the server alone writes it.
        nullable: whether null is announced.
        deprecated: whether it is to be avoided.
        enum: the known values, if they are listed.
    """

    name: str
    type: str
    format: str = ""
    pattern: str = ""
    required: bool = False
    read_only: bool = False
    nullable: bool = False
    deprecated: bool = False
    enum: tuple[str | int | float, ...] = ()

    @property
    def item(self) -> str:
        """The type without the marks of a list."""
        return self.type.replace("[]", "")

    @property
    def many(self) -> bool:
        """Whether it is a list."""
        return self.type.endswith("[]")


@frozen(kw_only=True)
class Answer:
    """What a success brings.

    Attributes:
        statuses: the statuses of success.
        key: the name of the list under `data` beside the total, for lists.
        type: what the list holds, or the schema of `data`; "" if `data` has fields but no name, or there is none.
        fields: the fields of `data`, where it has no name.
    """

    statuses: tuple[str, ...] = ()
    key: str = ""
    type: str = ""
    fields: tuple[Value, ...] = ()

    @property
    def kind(self) -> str:
        """`list`, `schema`, `fields` or `nothing`."""
        if self.key:
            return "list"
        if self.type:
            return "schema"
        return "fields" if self.fields else "nothing"


@frozen(kw_only=True)
class Operation:
    """One operation.

    Attributes:
        operation_id: its id.
        verb: the HTTP verb.
        path: the path template.
        interface: `both`, `enterprise` or `customer`.
        authorized: whether a token is sent.
        deprecated: whether it is to be avoided.
        path_names: the parameters in the path, in its order.
        query: the query parameters.
        body: the fields of the body.
        answer: what a success brings.
        failures: the statuses of failures.
    """

    operation_id: str
    verb: str
    path: str
    interface: str = "both"
    authorized: bool = True
    deprecated: bool = False
    path_names: tuple[str, ...] = ()
    query: tuple[Value, ...] = ()
    body: tuple[Value, ...] = ()
    answer: Answer = field(factory=Answer)
    failures: tuple[str, ...] = ()

    @property
    def paged(self) -> bool:
        """Whether it takes `count` and `offset` in the query."""
        return {"count", "offset"} <= {value.name for value in self.query}


@frozen(kw_only=True)
class Schema:
    """One named schema.

    Attributes:
        name: its name.
        type: `object`, another type, or the schema that it is another name of.
        read_only: whether the server alone writes it, as a whole.
        enum: the known values, if they are listed.
        fields: its fields, inherited ones included.
    """

    name: str
    type: str = "object"
    read_only: bool = False
    enum: tuple[str | int | float, ...] = ()
    fields: tuple[Value, ...] = ()


@frozen(kw_only=True)
class Facts:
    """All that one version of the description says.

    Attributes:
        operations: by id.
        schemas: by name.
    """

    operations: Mapping[str, Operation]
    schemas: Mapping[str, Schema]
