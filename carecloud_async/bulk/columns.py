"""Columns of a source, and the fields that they lead to."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal
from unicodedata import normalize

import anyio
import attrs
import msgspec
from attrs import frozen

from carecloud_async._base.codec.fields import api_names, core_type, core_types, element_type, field_types, is_model
from carecloud_async._base.runtime.suggestions import nearest
from carecloud_async.bulk.errors import BadSourceError, UnknownColumnError
from carecloud_async.bulk.family import Family, FamilyFacts, Key, field_paths
from carecloud_async.bulk.options import BulkWriteOptions, Target
from carecloud_async.bulk.outcome import OUTCOME_COLUMNS, UNREADABLE
from carecloud_async.bulk.pages import sample
from carecloud_async.bulk.parts import NamedPart
from carecloud_async.bulk.sources.source import RowSource
from carecloud_async.bulk.spellings import ENUMERATIONS, PHONES
from carecloud_async.errors import PermissionDeniedError
from carecloud_async.fixes import COLUMNS, COLUMNS_OF_LIST, DEFAULTS, Fix
from carecloud_async.models.base import Input
from carecloud_async.models.read_only import read_only_paths

#: The most columns without a field that one error names.
_MOST_NAMED: Final = 10

#: The type of a property whose own is not known, or is text: see `Converter.value_of_property_column`.
_PROPERTY: Final[Any] = Any | str
#: How alike a column's name and its field's are, for a guess.
_ALIKE: Final = 0.75
#: Columns of exports, results and rejects that hold nothing an import could write.
_OUR_OWN: Final = frozenset({"unknown_fields", UNREADABLE, *OUTCOME_COLUMNS})
#: Czech and Slovak names of columns, as `_letters` returns them → the field that they are probably for.
_TRANSLATED: Final = {
    "jmeno": "first_name",
    "meno": "first_name",
    "prijmeni": "last_name",
    "priezvisko": "last_name",
    "telefon": "phone",
    "mobil": "phone",
    "pohlavi": "gender",
    "pohlavie": "gender",
    "datumnarozeni": "birthdate",
    "datumnarodenia": "birthdate",
    "ulice": "address1",
    "ulica": "address1",
    "mesto": "city",
    "psc": "zip",
    "cislokarty": "card_number",
}


@frozen(kw_only=True)
class Place:
    """Where a column's values go.

    Attributes:
        path: the dotted field; empty for a column of `ignore_columns=`.
        hint: the field's type.
        role: `field` of the record; `create` for a field that a create sends outside it; `part` for one that is written
            after it; `key` for one that only names it; `item` for a field of an object that has a line of its own;
            `ignored`; or `unknown` for a field that the server shows and the SDK does not know. A row may repeat the
            value of such a field and not change it.
        enumeration: the enumeration whose names the field takes.
        is_phone: whether the values are phone numbers.
        words: word of the column, without its case → the value that it stands for.
        as_written: whether its values are right although they look like numbers that a spreadsheet has shortened.
    """

    path: str = ""
    hint: Any = Any
    role: Literal["field", "create", "part", "key", "item", "ignored", "unknown"] = "field"
    enumeration: str | None = None
    is_phone: bool = False
    words: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    as_written: bool = False


class Columns:
    """The fields that the rows of a family may name.

    Args:
        renamed: column → where it leads, as `column_map` returns it.
        ignored: columns to ignore.
        as_written: columns, or fields, whose values are taken as they are: see `Place`.
    """

    def __init__(
        self,
        family: Family,
        *,
        renamed: Mapping[str, Target],
        ignored: Iterable[str],
        as_written: Iterable[str] = (),
    ) -> None:
        self._family = family
        self._facts = facts = family.facts
        self._fields: dict[str, Place] = {}
        self._objects: set[str] = set()
        for model in (facts.create_model, facts.update_model):
            if model is not None:
                self._add_fields(model, "", only=None if model is facts.create_model else _readable(facts))
        self._create_fields = facts.writes.create_fields
        self._aliases = facts.writes.aliases
        self._wrapper = facts.writes.wrapper
        self._items = _item_fields(facts)
        self._keys = {facts.id_field, *(path for key in facts.writes.keys for path in key.paths)}
        reads = facts.reads
        self._read_only = frozenset() if reads is None else read_only_paths(reads) | field_paths(reads)
        self._short_names = self._find_short_names()
        self._ignored = frozenset((*ignored, *(column for column, target in renamed.items() if not target.field)))
        self._as_written = frozenset(as_written)
        self._places: dict[str, Place] = {}
        # The results of `fetch_names`.
        self._fetching = anyio.Lock()
        self._has_fetched = False
        self._shown_by_server: set[str] = set()
        self._named_parts: Mapping[str, NamedPart] | None = None
        self._renamed = {column: target.field for column, target in renamed.items()}
        self._words = {column: target.words for column, target in renamed.items()}
        for column, name in self._renamed.items():
            if column not in self._ignored and not self._is_part(name) and self._find(name) is None:
                raise BadSourceError(f"columns: {column!r} leads to {name!r}, which {self._no_field(name)}")

    def place(self, column: str, *, is_default: bool = False) -> Place:
        """Return where a column leads.

        Args:
            column: its name.
            is_default: whether it is a default value that names it, and no column of the source.

        Raises:
            UnknownColumnError: nowhere, or that is not known before `fetch_names`; the message has the nearest name.
        """
        place = self._places.get(column)
        if place is None:
            place = self._places[column] = self._resolve(column, is_default=is_default)
        return place

    def guess(self, column: str) -> str | None:
        """Return the name of the field that a column is probably for, by its own name; `None` if none is near."""
        with contextlib.suppress(UnknownColumnError):
            self.place(column)
            return column
        known = [*self._short_names, *self._create_fields, *self._fields, *(name for name in self._keys if name)]
        by_letters = {_letters(name): name for name in reversed(known)}
        letters = _letters(column)
        close = nearest(_letters(_TRANSLATED.get(letters, letters)), by_letters, similarity=_ALIKE)
        return None if close is None else by_letters[close]

    async def fetch_names(self) -> None:
        """Read from the server, once, which fields its records show, and the names and types of parts.

        Exports have those fields too that the SDK does not know. Parts with names are customers' properties.
        """
        family = self._family
        async with self._fetching:
            if self._has_fetched:
                return
            if family.list is not None:
                page, _ = await sample(family.list())
                for record in page.items:
                    _collect(msgspec.json.decode(record), "", self._shown_by_server)
            if self._facts.parts is not None:
                # Without the right to read them, columns name parts by their ids, which cannot be checked here.
                with contextlib.suppress(PermissionDeniedError):
                    self._named_parts = await self._facts.parts.fetch_names(family)
            self._has_fetched = True

    def is_object(self, path: str) -> bool:
        """Return whether a column is an object with fields of its own, and is neither ignored nor renamed."""
        if path in self._ignored or path in self._renamed:
            return False
        return path == self._wrapper or self._unwrapped(path) in self._objects

    async def check(self, rows: RowSource, *, key: Key | None, options: BulkWriteOptions) -> None:
        """Check that each column and default of a source leads to a field of its own, and that the key has one.

        Raises:
            BadSourceError: that is not so.
        """
        given = rows.columns
        # Columns of objects with fields of their own, such as `personal_information` in Parquet.
        objects = [] if rows.textual else [name for name in given or () if self.is_object(name)]
        names = [name for name in given or () if name not in objects]
        if given is not None:
            self._require_columns(rows.label, given, options.as_written)
        fix = COLUMNS if self._family.list is None else COLUMNS_OF_LIST
        await self._require_fields(names, label=rows.label, fix=fix)
        more = (*options.defaults, *options.values)
        await self._require_fields(more, label=rows.label, fix=DEFAULTS, are_defaults=True)
        first: dict[str, str] = {}
        for name in names:
            place = self.place(name)
            other = first.setdefault(place.path, name)
            if other != name and place.role != "ignored":
                raise BadSourceError(
                    f"{rows.label}: the columns {other!r} and {name!r} both lead to {place.path}",
                    fix=Fix("name one of them in {ignore_columns}"),
                )
        paths = {*first, *(self.place(name).path for name in more)}
        if key is None or given is None:
            return
        for path in key.paths:
            is_in_object = any(name == self._wrapper or path.startswith(f"{name}.") for name in objects)
            if path not in paths and not is_in_object:
                raise BadSourceError(
                    f"{rows.label}: the key {key.name} needs the column {path}, which is missing",
                    fix=Fix(f"name the column in {{columns}}, or give all rows one value, {{default}}{path}=…"),
                )

    def _require_columns(self, label: str, columns: Sequence[str], names: Collection[str]) -> None:
        """Raise if `as_written=` names anything but a column, or its field."""
        for name in names:
            if name not in columns and not any(name in self._names_of(column) for column in columns):
                raise BadSourceError(
                    f"{label} has no column {name!r}{_hint(name, columns)}",
                    fix=Fix("name columns of it in {as_written}"),
                )

    def _names_of(self, column: str) -> tuple[str, ...]:
        """Return the names of the field that a column leads to: the dotted one and the given one."""
        name = self._renamed.get(column, column)
        place = self._find(name)
        return () if place is None else (name, place.path)

    async def _require_fields(self, names: Sequence[str], *, label: str, fix: Fix, are_defaults: bool = False) -> None:
        """Raise one error for all names that lead to no field: those with a near name first.

        If no column is known, the first line may be a row of data, and the error does not show it.
        """
        if self._unknown(names, are_defaults=are_defaults):
            await self.fetch_names()
        unknown = self._unknown(names, are_defaults=are_defaults)
        near = [problem for problem in unknown if "did you mean" in problem]
        named = [*near, *(problem for problem in unknown if problem not in near)]
        if not are_defaults and len(unknown) == len(names) > 1:
            if not near:
                raise BadSourceError(f"{label}: no column has the name of a field: the file needs a line of names")
            named = named if _are_names(names) else near
        if unknown:
            named = named[:_MOST_NAMED]
            left = len(unknown) - len(named)
            more = f"; {left} more ha{'s' if left == 1 else 've'} no field" if left else ""
            raise UnknownColumnError("; ".join(named) + more, fix=fix)

    def _unknown(self, names: Sequence[str], *, are_defaults: bool) -> list[str]:
        """Return a message for each name that leads to no field."""
        problems = []
        for name in names:
            try:
                self.place(name, is_default=are_defaults)
            except UnknownColumnError as error:
                problems.append(error.problem)
        return problems

    def _resolve(self, column: str, *, is_default: bool) -> Place:
        if column in self._ignored:
            return Place(role="ignored")
        name = self._renamed.get(column, column)
        place = self._find(name)
        if place is not None:
            as_written = not self._as_written.isdisjoint((column, name, place.path))
            return attrs.evolve(place, words=self._words.get(column, {}), as_written=as_written)
        if name in self._shown_by_server:
            return Place(path=name, role="unknown")
        if is_default:
            raise UnknownColumnError(f"the default or value {column[:100]!r} {self._no_field(column)}", fix=DEFAULTS)
        raise UnknownColumnError(f"the column {column[:100]!r} has no field: it {self._no_field(column)}", fix=COLUMNS)

    def _unwrapped(self, name: str) -> str:
        return name if self._wrapper is None else name.removeprefix(f"{self._wrapper}.")

    def _find(self, name: str) -> Place | None:
        name = self._unwrapped(name)
        name = self._aliases.get(name, name)
        if name in self._create_fields:
            return Place(path=name, hint=str, role="create")
        if name in self._fields:
            return self._fields[name]
        if self._is_part(name):
            path = self._part_path(name)
            return Place(path=path, hint=self._part_hint(path), role="part")
        if name in self._keys:
            return Place(path=name, hint=str, role="key")
        if name in _OUR_OWN or self._is_read_only(name):
            return Place(path=name, role="ignored")
        if name in self._short_names:
            return self._fields[self._short_names[name]]
        return self._items.get(name)

    def _is_part(self, name: str) -> bool:
        parts = self._facts.parts
        return parts is not None and (name in parts.names or name.startswith(parts.prefixes))

    @cached_property
    def _prefixes(self) -> tuple[str, ...]:
        parts = self._facts.parts
        return () if parts is None else parts.prefixes

    def _part_path(self, name: str) -> str:
        """Return the path of a part: its prefix and an id, also where the column has the name of that id."""
        prefix = next((prefix for prefix in self._prefixes if name.startswith(prefix)), "")
        if not prefix:
            return name
        if not self._has_fetched:
            raise UnknownColumnError(f"the column {name[:100]!r} has to be looked up")
        wanted, named = name.removeprefix(prefix), self._named_parts
        if named is None or wanted in named:
            return name
        ids = [part_id for part_id, part in named.items() if part.name.strip().casefold() == wanted.strip().casefold()]
        if len(ids) == 1:
            return f"{prefix}{ids[0]}"
        what = f"{len(ids)} of them have that name: write {prefix}ID" if ids else "none has that id or name"
        raise UnknownColumnError(
            f"the column {name[:100]!r} has no field: {what}{_hint(wanted, (part.name for part in named.values()))}",
            fix=COLUMNS,
        )

    def _part_hint(self, path: str) -> Any:
        """Return the type of a part's values."""
        prefix = next((prefix for prefix in self._prefixes if path.startswith(prefix)), "")
        if not prefix:
            return str
        part = (self._named_parts or {}).get(path.removeprefix(prefix))
        return _PROPERTY if part is None or part.hint is None else part.hint

    def _is_read_only(self, name: str) -> bool:
        parts = name.split(".")
        return any(".".join(parts[:size]) in self._read_only for size in range(1, len(parts) + 1))

    def _no_field(self, name: str) -> str:
        known = [*self._fields, *self._create_fields, *self._short_names, *self._items]
        return f"is no field of {self._facts.name}{_hint(name, known)}"

    def _add_fields(self, model: type[Input], prefix: str, *, only: frozenset[str] | None = None) -> None:
        names, types = api_names(model), field_types(model)
        for field, hint in types.items():
            path, core = prefix + names[field], core_type(hint)
            if only is not None and path not in only:
                continue
            if is_model(core) and issubclass(core, Input):
                self._objects.add(path)
                self._add_fields(core, f"{path}.")
            else:
                enumeration = ENUMERATIONS.get((model.__name__, field))
                is_phone = names[field] in PHONES
                self._fields[path] = Place(path=path, hint=hint, enumeration=enumeration, is_phone=is_phone)

    def _find_short_names(self) -> dict[str, str]:
        """Return the fields by the last parts of their names, where only one has it."""
        fields: dict[str, list[str]] = {}
        for path in self._fields:
            fields.setdefault(path.rpartition(".")[2], []).append(path)
        return {short: paths[0] for short, paths in fields.items() if len(paths) == 1}


def _are_names(columns: Sequence[str]) -> bool:
    """Return whether columns may be names: rows of data have a key, which is an address or mostly digits."""
    return not any(
        "@" in column or sum(map(str.isdigit, column)) >= sum(map(str.isalpha, column)) for column in columns
    )


def _letters(name: str) -> str:
    """Return the letters and digits of a name, without case and accents."""
    return "".join(letter for letter in normalize("NFKD", name.casefold()) if letter.isalnum())


def _item_fields(facts: FamilyFacts) -> Mapping[str, Place]:
    """Return the fields of the objects that may have lines of their own, under each of their names."""
    items, model = facts.writes.items, facts.create_model
    if items is None or model is None:
        return {}
    places: dict[str, Place] = {}
    for name, core in core_types(core_type(element_type(core_types(model)[items.name]))).items():
        inner = core_type(element_type(core))
        paths = [name, *(f"{name}.{field}" for field in core_types(inner))] if is_model(inner) else [name]
        places |= {path: Place(path=f"{items.name}.{path}", hint=core, role="item") for path in paths}
    return places | {place.path: place for place in places.values()}


def _hint(name: str, known: Iterable[str]) -> str:
    """Return the nearest known name in brackets, so that a fix may follow; empty if none is close."""
    close = nearest(name, known)
    return f" (did you mean {close}?)" if close else ""


def _readable(facts: FamilyFacts) -> frozenset[str] | None:
    """Name the fields that a record shows: a field that an update cannot compare would be sent every time."""
    if facts.reads is None or facts.create_model is None:
        return None
    return frozenset(api_names(facts.reads).values())


def _collect(value: Any, prefix: str, paths: set[str]) -> None:
    """Collect the dotted names of a record's fields."""
    if isinstance(value, dict):
        for name, inner in value.items():
            paths.add(f"{prefix}{name}")
            _collect(inner, f"{prefix}{name}.", paths)
