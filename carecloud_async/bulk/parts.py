"""The parts of rows that are written after their records, such as cards: each is a write to another family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeAlias

import attrs
import msgspec
from attrs import field, frozen

from carecloud_async._base.runtime.task_groups import run_all
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.finding import NO_SUCH_KEY, Finder, FoundByKey, Witness
from carecloud_async.bulk.machine import after_a_loss
from carecloud_async.bulk.outcome import WRITTEN, Outcome, RowResult, refused
from carecloud_async.bulk.rows import Plan, Write
from carecloud_async.errors import CareCloudError

#: Writes, each with what it does.
Decided: TypeAlias = list[tuple[Write, RowResult | Plan]]
#: Writes on whose look-up the server fails although it answers others.
FailedLookUps: TypeAlias = list[tuple[Write, CareCloudError]]


class PartKind(ABC):
    """A kind of part.

    Attributes:
        name: the name of the kind.
        key: the key by which parts are looked up.
        of_record: whether it is looked up among what its record has; else many are looked up at a time, and before
            anything of their rows is written.
    """

    name: ClassVar[str]
    key: ClassVar[Key]
    of_record: ClassVar[bool] = False

    @abstractmethod
    def split(self, parts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the writes of this kind that the parts of a row ask for, each with its values."""

    @abstractmethod
    def family(self, owner: Family, record_id: str) -> Family:
        """Return the family that the part of a record is written to."""

    @abstractmethod
    def decide(
        self, family: Family, record_id: str | None, values: Mapping[str, Any], looked_up: Sequence[bytes]
    ) -> RowResult | Plan:
        """Return what a part does.

        Args:
            family: the family that it is written to.
            record_id: the record that it belongs to; `None` for one that is not created yet.
            looked_up: the records that its key finds.
        """

    def looked_up_in(self, owner: Family, record_id: str) -> Family:
        """Return the family in which the key of a part is looked up."""
        return self.family(owner, record_id)

    def label(self, values: Mapping[str, Any]) -> str:  # noqa: ARG002  (of some kinds each part has its own)
        """Return what a part is called in results."""
        return self.name

    def key_of(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the values of a part's key."""
        return self.key.values_in(values) or ()

    def text_of(self, values: Mapping[str, Any]) -> str:
        """Return a part's key in the form in which keys are compared."""
        return self.key.text(self.key_of(values))


@frozen(kw_only=True)
class NamedPart:
    """A part that the project has defined, such as a property.

    Attributes:
        name: its name in the project.
        hint: the type of its values; `None` if they are taken as they are.
    """

    name: str
    hint: Any = None


@frozen(kw_only=True)
class Parts:
    """The parts that rows of a family may have, which are written after the record.

    Attributes:
        names: the columns that are always written as parts, never by a create.
        prefixes: the prefixes of such columns whose rest the user chooses, such as `property.`.
        kinds: the kinds of parts, in the order in which they are written.
        unique: the keys that only one row of a source may have.
        created: the key of a part whose fields a create sends itself: a part only of a known record.
        fetch_names: returns what may follow a prefix, by its id.
    """

    names: frozenset[str]
    prefixes: tuple[str, ...]
    kinds: tuple[PartKind, ...]
    unique: tuple[Key, ...]
    created: Key
    fetch_names: Callable[[Family], Awaitable[Mapping[str, NamedPart]]]


@frozen(kw_only=True)
class PartWrites:
    """The parts of the rows of one run.

    Attributes:
        owner: the family of the rows.
        concurrency: look-ups under way at once.
        kinds: the kinds of parts, by name.
        finders: finders of the kinds that are looked up many at a time.
        witness: a look-up among what records have that was answered.
    """

    owner: Family
    concurrency: int
    kinds: Mapping[str, PartKind] = field(factory=dict)
    finders: Mapping[str, Finder] = field(factory=dict)
    witness: Witness = field(factory=Witness)

    @classmethod
    def of(cls, owner: Family, *, concurrency: int) -> PartWrites:
        """Return the parts of a family's rows."""
        parts = owner.facts.parts
        kinds = {} if parts is None else {kind.name: kind for kind in parts.kinds}
        finders = {
            name: Finder(kind.looked_up_in(owner, ""), kind.key, concurrency=concurrency)
            for name, kind in kinds.items()
            if not kind.of_record
        }
        # Of what one record has, no other look-up shows whether the server is there.
        witness = Witness(None if owner.get is None else partial(owner.get, NO_SUCH_KEY))
        return cls(owner=owner, concurrency=concurrency, kinds=kinds, finders=finders, witness=witness)

    def family(self, write: Write) -> Family:
        """Return the family that a write is made in."""
        return self.kinds[write.kind].family(self.owner, write.record_id or "") if write.kind else self.owner

    def split(self, write: Write, result: RowResult) -> list[tuple[str, dict[str, Any]]]:
        """Return what is written after a record: the kind of each part, and its values."""
        if result.outcome not in WRITTEN or result.record_id is None:
            return []
        parts = _parts_of(write, is_new=result.outcome is Outcome.CREATED)
        kinds = self.kinds if parts else {}
        return [(name, values) for name, kind in kinds.items() for values in kind.split(parts)]

    def claims(self, write: Write) -> list[str]:
        """Return the keys to be claimed for a part, or for the parts that are looked up before their row is written."""
        if write.kind:
            return [self._claim(self.kinds[write.kind], write.record_id or "", write.body.parts)]
        keyed = [self.kinds[name] for name in self.finders if write.body.parts]
        return [self._claim(kind, "", values) for kind in keyed for values in kind.split(write.body.parts)]

    def _claim(self, kind: PartKind, record_id: str, values: Mapping[str, Any]) -> str:
        family = kind.looked_up_in(self.owner, record_id).facts.family
        return kind.key.claim(family, kind.text_of(values))

    async def decide(self, writes: Sequence[Write]) -> tuple[Decided, FailedLookUps]:
        """Look parts of one kind up, and decide; see `RecordWrites.decide`.

        Raises:
            CareCloudError: the server cannot be reached, or refuses the client.
        """
        kind = self.kinds[writes[0].kind]
        looked_up = await self._find(
            kind, [((write.record_id or "") if kind.of_record else "", write.body.parts) for write in writes]
        )
        decided: Decided = []
        failed: FailedLookUps = []
        for write, by_its_key in zip(writes, looked_up, strict=True):
            text = kind.text_of(write.body.parts)
            if (error := by_its_key.failure(text)) is not None:
                failed.append((write, error))
                continue
            records = by_its_key.of(text)
            facts = kind.looked_up_in(self.owner, write.record_id or "").facts
            copies = [facts.id_of(msgspec.json.decode(record)) for record in records]
            part = self._decide(kind, write.record_id, write.body.parts, by_its_key)
            decided.append((write, after_a_loss(write, part, copies=copies, name=kind.label(write.body.parts))))
        return decided, failed

    async def check(self, rows: Decided, *, dry_run: bool) -> tuple[Decided, FailedLookUps]:
        """Look the parts of rows up before anything is written: one that is impossible decides the row's outcome.

        Args:
            rows: the rows, with what was decided for their records.
            dry_run: whether the outcome names the parts that would be written: then all kinds are looked up.

        Returns:
            the rows without the parts that are written already, and with their outcomes or plans; and those on the
            look-ups of whose parts the server fails.

        Raises:
            CareCloudError: the server cannot be reached, or refuses the client.
        """
        checked = [*rows]
        failed: dict[int, CareCloudError] = {}
        for kind in (kind for name, kind in self.kinds.items() if dry_run or name in self.finders):
            asking = [
                (number, values)
                for number, (write, decided) in enumerate(checked)
                if isinstance(decided, Plan) or decided.outcome in {Outcome.UNCHANGED, Outcome.UPDATED}
                if (parts := _parts_of(write, is_new=decided.record_id is None))
                for values in kind.split(parts)
            ]
            looked_up = await self._find(
                kind, [(checked[number][1].record_id if kind.of_record else "", values) for number, values in asking]
            )
            for (number, values), by_its_key in zip(asking, looked_up, strict=True):
                write, decided = checked[number]
                if (error := by_its_key.failure(kind.text_of(values))) is not None:
                    failed[number] = error
                    continue
                part = self._decide(kind, decided.record_id, values, by_its_key)
                checked[number] = _with_checked(write, decided, part, values, dry_run=dry_run)
        return (
            [by_its_key for number, by_its_key in enumerate(checked) if number not in failed],
            [(checked[number][0], error) for number, error in failed.items()],
        )

    async def _find(self, kind: PartKind, parts: Sequence[tuple[str | None, Mapping[str, Any]]]) -> list[FoundByKey]:
        """Look parts up by their keys, and return what was found for each.

        Args:
            parts: the values of each, and its record if that is where it is looked up; `None` for a record that is not
                created yet, which has no parts.
        """
        wanted: dict[str, dict[str, tuple[str, ...]]] = {}
        for record_id, values in parts:
            if record_id is None:
                continue
            of_record = wanted.setdefault(record_id, {})
            # One value of each key: two rows may have the same, spelled differently.
            of_record[kind.text_of(values)] = kind.key_of(values)
        looked_up: dict[str, FoundByKey] = {}

        async def find(record_id: str) -> None:
            finder = self.finders.get(kind.name)
            if finder is None:
                family = kind.looked_up_in(self.owner, record_id)
                finder = Finder(family, kind.key, concurrency=self.concurrency, witness=self.witness)
            looked_up[record_id] = await finder.find([*wanted[record_id].values()])

        await run_all([partial(find, record_id) for record_id in wanted], width=self.concurrency)
        return [FoundByKey() if record_id is None else looked_up[record_id] for record_id, _ in parts]

    def _decide(
        self, kind: PartKind, record_id: str | None, values: Mapping[str, Any], looked_up: FoundByKey
    ) -> RowResult | Plan:
        text = kind.text_of(values)
        if reasons := looked_up.refusal(text):
            return refused(*reasons)
        decided = kind.decide(kind.family(self.owner, record_id or ""), record_id, values, looked_up.of(text))
        if isinstance(decided, Plan) and decided.kind == "update" and not decided.record_id:
            return refused(f"{kind.label(values)}: the record has no id")
        return attrs.evolve(decided, read_at=looked_up.read_at.get(text, 0.0)) if isinstance(decided, Plan) else decided


def _parts_of(write: Write, *, is_new: bool) -> Mapping[str, Any]:
    """Return the parts of a row that the write of its record leaves; a create writes the fields next to the record."""
    body = write.body
    if not is_new:
        return body.parts
    return {name: value for name, value in {**body.new_parts, **body.parts}.items() if name not in body.create_fields}


def _with_checked(
    write: Write, decided: RowResult | Plan, part: RowResult | Plan, values: Mapping[str, Any], *, dry_run: bool
) -> tuple[Write, RowResult | Plan]:
    """Return a row and what is decided of it, given what its part would do."""
    if isinstance(part, Plan):
        if not dry_run:
            return write, decided
        if isinstance(decided, Plan):
            return write, attrs.evolve(decided, changed=(*decided.changed, *part.changed))
        changed = (*decided.changed_fields, *part.changed)
        return write, attrs.evolve(decided, outcome=Outcome.UPDATED, changed_fields=changed)
    if part.outcome is not Outcome.UNCHANGED:
        if not isinstance(decided, Plan) and decided.outcome not in {Outcome.UNCHANGED, Outcome.UPDATED}:
            return write, decided  # an earlier part has decided it
        return write, attrs.evolve(part, record_id=decided.record_id)
    left = {name: value for name, value in write.body.parts.items() if name not in values}
    return attrs.evolve(write, body=attrs.evolve(write.body, parts=left)), decided
