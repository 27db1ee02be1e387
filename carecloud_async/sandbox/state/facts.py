"""The facts of the API that the tables stand on: operations, schemas and fields, read from `facts.txt` on first use.

A line is an operation (`getCards GET /cards paged -> 200 list cards Card`), one of its query parameters (`?`), fields
of its body (`<`) or of its answer (`>`), or a field of a schema (`Card.card_id string readonly`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import attrs

FILE: Final = Path(__file__).with_name("facts.txt")
PAGING: Final = ("count", "offset", "sort_field", "sort_direction")
"""Query parameters that `paged` stands for."""

#: Fields that the description requires of a body and servers do without.
_NOT_REQUIRED: Final = {("postPointsAssign", "partner_id"), ("postPointsRedemption", "partner_id")}

_TYPE: Final = re.compile(r"(?P<type>.+?)(?:\((?P<format>[\w-]+)\))?")


@attrs.frozen(kw_only=True)
class Field:
    """A query parameter, or a field of a body, an answer or a schema.

    Attributes:
        name: Its name; dotted below an object that has no schema.
        type: `string`, `integer`, `number`, `boolean`, `object`, `any` or a schema; `[]` behind it is a list, `|`
            stands between alternatives.
        format: `date`, `timestamp`, `time`, or another format; "" if none.
        required: Whether it must be sent.
        read_only: Whether only the server sets it.
        nullable: Whether null is announced.
        enum: The known values, or none.
    """

    name: str
    type: str
    format: str = ""
    required: bool = False
    read_only: bool = False
    nullable: bool = False
    enum: tuple[Any, ...] = ()

    @property
    def item(self) -> str:
        """The type, or the type of an item if it is a list."""
        return self.type.removesuffix("[]")

    @property
    def many(self) -> bool:
        """Whether it is a list and nothing else."""
        return self.type.endswith("[]") and "|" not in self.type


@attrs.frozen(kw_only=True)
class ApiOperation:
    """One operation.

    Attributes:
        operation_id: The API's name for it.
        method: HTTP verb.
        template: Path template below the version.
        interface: `both`, `enterprise` or `customer`.
        authorized: Whether a token is asked for.
        status: Status of success; of several the first.
        key: Name of the list in the answer; "" if the answer is not a list.
        result: Schema of the items or of the answer; "" if it has none.
        query: Query parameters.
        body: Fields of the body.
        fields: Fields of an answer without a schema.
    """

    operation_id: str
    method: str
    template: str
    interface: str
    authorized: bool
    status: int
    key: str
    result: str
    query: tuple[Field, ...] = ()
    body: tuple[Field, ...] = ()
    fields: tuple[Field, ...] = ()

    @property
    def path_names(self) -> tuple[str, ...]:
        """Names in the path template, in order."""
        return tuple(re.findall(r"\{([^}]+)\}", self.template))

    @property
    def query_names(self) -> tuple[str, ...]:
        """Names that a query may hold, with brackets where they are lists."""
        return tuple(
            name
            for one in self.query
            for name, sent in ((one.name, not one.many), (f"{one.name}[]", "[]" in one.type))
            if sent
        )


@attrs.frozen(kw_only=True)
class Facts:
    """All facts.

    Attributes:
        operations: In the order of the API's description.
        schemas: The fields of each schema.
        enums: Schemas that are one field, such as an enumeration.
    """

    operations: tuple[ApiOperation, ...]
    schemas: Mapping[str, tuple[Field, ...]]
    enums: Mapping[str, Field]


@cache
def api_facts() -> Facts:
    """The facts of the API; read once in a process."""
    return read_facts(FILE.read_text(encoding="utf-8"))


def read_facts(text: str) -> Facts:
    """Read facts from text.

    Raises:
        ValueError: A line cannot be read.
    """
    operations: dict[str, ApiOperation] = {}
    schemas: dict[str, list[Field]] = {}
    enums: dict[str, Field] = {}
    parts: dict[str, dict[str, list[Field]]] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        subject, rest = line.split(" ", 1)
        if rest[0] in "?<>":
            parts[subject][rest[0]].append(_field(rest[1:]))
        elif " -> " in rest:
            operations[subject] = _operation(subject, rest)
            parts[subject] = {"?": list(operations[subject].query), "<": [], ">": []}
        elif rest.startswith(": "):
            enums[subject] = _field(f"{subject} {rest[2:]}")
        else:
            name, field = subject.split(".", 1)
            schemas.setdefault(name, []).append(_field(f"{field} {rest}"))
    return Facts(
        operations=tuple(
            attrs.evolve(
                one,
                query=tuple(parts[name]["?"]),
                body=tuple(_sent(name, field) for field in parts[name]["<"]),
                fields=tuple(parts[name][">"]),
            )
            for name, one in operations.items()
        ),
        schemas={name: tuple(fields) for name, fields in schemas.items()},
        enums={name: one for name, one in enums.items() if name not in schemas},
    )


def _sent(operation_id: str, field: Field) -> Field:
    """Require of a body what servers require, which is less than the description does."""
    return attrs.evolve(field, required=False) if (operation_id, field.name) in _NOT_REQUIRED else field


def _operation(operation_id: str, rest: str) -> ApiOperation:
    before, after = rest.split(" -> ", 1)
    method, template, *words = before.split()
    statuses, *result = after.split()
    key = result[1] if result[:1] == ["list"] else ""
    return ApiOperation(
        operation_id=operation_id,
        method=method,
        template=template,
        interface=next((word for word in words if word in ("enterprise", "customer")), "both"),
        authorized="no-token" not in words,
        status=int(statuses.split(",")[0]),
        key=key,
        result=result[-1] if result else "",
        query=tuple(Field(name=name, type="string") for name in PAGING) if "paged" in words else (),
    )


def _field(text: str) -> Field:
    text, _, enum = text.partition(" enum=")
    name, kind, *flags = text.split(" ")
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise ValueError(f"the type of {name} cannot be read: {kind}")
    return Field(
        name=name,
        type=match["type"],
        format=match["format"] or "",
        required="required" in flags,
        read_only="readonly" in flags,
        nullable="nullable" in flags,
        enum=tuple(json.loads(enum)) if enum else (),
    )
