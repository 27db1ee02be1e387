"""Updates over PUT: read the record, merge the changes in, send it back; with `if_unchanged`, if it is as it was.

The PUT is repeated only after the record was read again: a blind repeat could revert another writer's change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any, ClassVar, Final, Generic, TypedDict, TypeVar, Unpack

import attrs
from attrs import evolve, frozen

from carecloud_async._base.codec.answers import raw_data, structure
from carecloud_async._base.codec.fields import api_names
from carecloud_async._base.codec.json_text import NULL, RawJson, load, members
from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._calls.call.caller import Caller
from carecloud_async._calls.call.operation import CallRequest, Operation
from carecloud_async._calls.call.retry import Failure, FailureKind
from carecloud_async.errors import CareCloudError, ConfigurationError, ConflictError, NotFoundError
from carecloud_async.models.base import Model, source_of
from carecloud_async.models.ids import same_id
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Declared, Resource, declared
from carecloud_async.resources.hints import changes_in_a_dict
from carecloud_async.resources.merge import MergedRecord, MergeRules, differences, merge, require_shown, tree_of
from carecloud_async.resources.signature import no_content


@frozen(kw_only=True, repr=False)
class _UpdatePut:
    """The PUT of an update; see `send`.

    Attributes:
        caller: makes the calls.
        operation: the PUT.
        path_params: the ids in its path.
        merged: what it sends.
        read: see `Updating._read`.
    """

    caller: Caller
    operation: Operation
    path_params: Mapping[str, str]
    merged: MergedRecord
    read: Callable[[], Awaitable[RawJson | None]]

    async def send(self) -> None:
        """Send the PUT. If its answer is lost, read the record, and send again only if the record is unchanged.

        Raises:
            ConflictError: an answer was lost, and the record is neither what was sent nor what it was before.
            CareCloudError: the PUT failed. With `may_have_happened`, the change may be stored all the same.
        """
        context, options = self.caller.context, self.caller.options
        deadline = context.clock.monotonic() + options.timeout.total
        caller = self.caller
        for attempt in count(1):
            error = await self._attempt(caller)
            if error is None:
                return
            is_lost = error.may_have_happened
            if not is_lost and attempt == 1:
                raise error
            # From here on this attempt or an earlier one may be stored. Only a lost one is repeated.
            error.may_have_happened = True
            left = deadline - context.clock.monotonic()
            wait = self._wait_before_repeat(error, attempt, left=left) if is_lost else None
            await context.clock.sleep(wait or 0.0)
            if await self._is_stored(error):
                return
            left = deadline - context.clock.monotonic()
            if wait is None or left <= 0 or not context.budget.try_withdraw():
                raise error
            caller = self.caller.with_options(evolve(options, timeout=evolve(options.timeout, total=left)))

    async def _attempt(self, caller: Caller) -> CareCloudError | None:
        """Make one call, which repeats the PUT only if it certainly was not sent; return its error."""
        operation = evolve(self.operation, safe_to_repeat=False)
        try:
            await caller.call(
                CallRequest(operation, decode=no_content, path_params=self.path_params, json=self.merged.body)
            )
        except CareCloudError as error:
            return error
        return None

    def _wait_before_repeat(self, error: CareCloudError, attempt: int, *, left: float) -> float | None:
        """Return the seconds to wait before the PUT is repeated; `None` if it must not be repeated.

        Args:
            error: the error of the last attempt, whose answer was lost.
            attempt: the number of that attempt, from 1.
            left: the seconds that are left for the update.
        """
        retry_after = getattr(error.__cause__ or error, "retry_after", None)
        failure = Failure(kind=FailureKind.SERVER_ERROR, error=error, retry_after=retry_after)
        context, policy = self.caller.context, self.caller.options.retry
        wait = policy.decide(failure, attempt=attempt, safe_to_repeat=True, random=context.random.random)
        return None if wait is None or wait >= left else wait

    async def _is_stored(self, error: CareCloudError) -> bool:
        """Read the record; return `True` if it is as it was sent, `False` if it is as it was before.

        Args:
            error: the error of the last attempt, raised if the record cannot be read.

        Raises:
            ConflictError: the record is neither, or it is gone.
        """
        try:
            record = await self.read()
        except NotFoundError:
            record = None
        except CareCloudError as unreadable:
            raise error from unreadable
        if record is None:
            raise self._conflict("gone", ()) from error
        merged = self.merged
        stored = merged.tree_of(record)
        fields = tuple(differences(stored, merged.target))
        if merged.is_visible and not fields:
            return True
        if not any(differences(stored, merged.base)):
            return False
        now = f"neither what was sent nor what it was before ({', '.join(fields)})"
        raise self._conflict(now, fields) from error

    def _conflict(self, now: str, fields: tuple[str, ...]) -> ConflictError:
        conflict = ConflictError(
            f"{self.operation.title}: the answer was lost, and the record is {now}. Read it again and decide what to "
            "change: another writer may have changed it, or the server stores what it was sent in another form",
            fields=fields,
        )
        conflict.may_have_happened = True
        return conflict


Changes = TypeVar("Changes", bound=Mapping[str, Any])
Record = TypeVar("Record", bound=Model)

#: Read-only fields that show a change or a deletion, in a list as in a single record.
_SHOW_CHANGES: Final = ("last_change", "state")


class Merging(TypedDict, total=False):
    """Arguments of a family's class; see `MergeRules`.

    Attributes:
        model: the name of the input class, if it is not the one that `replace` takes.
        id_field: the field with a record's id, for families without `get`: the record is read from the list.
    """

    model: str
    id_field: str
    extra_fields: Collection[str]
    ids_in_record: Collection[str]
    required_objects: Collection[str]
    superseded: Mapping[str, tuple[str, str]]


class Updating(BulkWriting, Generic[Changes, Record]):
    """A resource with `replace`, and `get` or `list` to read what it replaces.

    `class Cards(Updating["CardChanges", "Card"], call="cards")`; the further arguments are those of `Merging`.
    """

    _merging: ClassVar[Merging] = {}

    def __init_subclass__(cls, *, call: str = "", **merging: Unpack[Merging]) -> None:
        super().__init_subclass__(call=call)
        cls._merging = merging or cls._merging

    @changes_in_a_dict
    async def update(
        self, record_id: str, /, changes: Changes, *, if_unchanged: Record | None = None, allow_unknown: bool = False
    ) -> None:
        """Change the fields that you name, and keep all others: a GET, then a PUT of the whole record.

        The record is read from the server (from the list, where it has no GET of its own) and sent back with the
        changes merged in. Dicts merge deeply, lists are replaced whole, `None` sends null. All other fields go back as
        the server wrote them, unknown ones included; read-only fields and nulls are left out, and a number in a known
        text is sent as text. A change that another writer makes between the two requests is overwritten: the API has
        no way to prevent it.

        If the answer of the PUT is lost, the record is read again. The PUT is repeated only if the record is still the
        one that the changes were merged into.

        Args:
            record_id: id of the record.
            changes: the new values, by the API's names.
            if_unchanged: the record as it was read; if it has changed, nothing is sent. A record of `get` is compared
                with everything that the server wrote, one of a list with the fields that an update may name, and
                `last_change`.
            allow_unknown: send names that the SDK does not know.

        Raises:
            ConflictError: the record differs from `if_unchanged`, and nothing was sent; or the answer of the PUT was
                lost, and the record is neither what was sent nor what it was before (`may_have_happened`).
            OutcomeUnknownError: the answer was lost, and reading again or repeating did not help.
            ConfigurationError: a name is unknown (the message has the nearest one) or read-only, a value is of another
                type, the API would ignore it in this record, there is no such record in the list, or the record lacks
                an object that it must have, such as a customer's `personal_information`.
            NotFoundError: there is no such record.
        """
        changes = conceal(changes)
        if if_unchanged is not None and not isinstance(if_unchanged, Model):
            raise ConfigurationError("if_unchanged takes the record as get() or list() returned it")
        replace, rules = _method(self, "replace"), self._merge_rules()
        write, ids = replace.operation, replace.path_to(self, record_id)
        self._caller.require(write)

        zone = self._caller.context.project.timezone
        merge_into = partial(merge, changes=changes, rules=rules, ids=ids, zone=zone, allow_unknown=allow_unknown)
        merge_into(RawJson(b"{}"))  # what is wrong with the changes should show before anything is sent
        read = partial(self._read, ids, record_id)
        record = await read()
        if record is None:
            id_field = self._merging.get("id_field")
            raise ConfigurationError(f"{_method(self, 'list').operation.call} holds no record with this {id_field}")
        require_shown(record, rules)
        if if_unchanged is not None:
            _require_unchanged(record, if_unchanged, write, rules)
        put = _UpdatePut(caller=self._caller, operation=write, path_params=ids, merged=merge_into(record), read=read)
        await put.send()

    @classmethod
    def _merge_rules(cls) -> MergeRules:
        """Return how records and changes of this family become the body of its PUT; see `resources.merge`."""
        signature = declared(cls.replace).signature  # type: ignore[attr-defined]
        part, rules = signature.record_argument, dict[str, Any](cls._merging)
        rules.pop("id_field", None)
        model = rules.pop("model", None)
        return MergeRules(part=part, model=signature.model(model) if model else signature.hint(part), **rules)

    async def _read(self, ids: Mapping[str, str], record_id: str) -> RawJson | None:
        """Read the current record, not the cached one.

        Returns:
            the record; `None` if it is read from a list, which lacks it.

        Raises:
            NotFoundError: it is read by its id, and there is none.
        """
        id_field = self._merging.get("id_field")
        if id_field is None:
            operation = _method(self, "get").operation
            return await self._caller.fresh.call(CallRequest(operation, decode=raw_data, path_params=ids))
        async for line in self.list().fresh().raw():  # type: ignore[attr-defined]
            record = RawJson(line)
            if record.is_object and same_id(load(members(record).get(id_field, NULL)), record_id):
                return record
        return None


def _method(resource: Resource, name: str) -> Declared:
    return declared(getattr(type(resource), name))


def _require_unchanged(record: RawJson, before: Model, operation: Operation, rules: MergeRules) -> None:
    """Raise unless a record is the same as before.

    A record of `get` is compared with everything that the server wrote, unknown fields and unreadable values included.
    A list may leave out what the server alone writes, such as the items of a purchase or the stores of a reward: its
    record is compared by the fields that the PUT takes, and by what shows any change.

    Args:
        record: the current record.
        before: the record as it was read.
        operation: the PUT that would follow, for the message.
        rules: of the family.

    Raises:
        ConflictError: it differs; the error names the fields.
    """
    source = source_of(before)
    if source is None:
        compared = {*api_names(rules.model).values(), *_SHOW_CHANGES}
        differing = _model_differences(structure(conceal(load(record)), type(before)), before)
        fields = tuple(name for name in differing if name.partition(".")[0] in compared)
    else:
        model = type(before)
        fields = tuple(differences(tree_of(record, model), tree_of(raw_data(source), model)))
    if fields:
        raise ConflictError(
            f"{operation.title}: the record changed since it was read ({', '.join(fields)}); nothing was sent. "
            "Read it again and decide what to change",
            fields=fields,
        )


def _model_differences(now: Model, before: Model, prefix: str = "") -> Iterator[str]:
    for field, name in api_names(type(now)).items():
        new, old = getattr(now, field), getattr(before, field)
        if new == old:
            continue
        if attrs.has(type(new)) and type(new) is type(old):
            yield from _model_differences(new, old, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
