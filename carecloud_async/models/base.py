"""`Model` and `Input`: the base classes of read models and input classes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, NoReturn, Self

import attrs
from msgspec import Meta

from carecloud_async._base.codec import fields
from carecloud_async._base.codec.fields import UNSET as UNSET
from carecloud_async._base.codec.fields import Unset as Unset
from carecloud_async._base.codec.fields import typed_cache
from carecloud_async._base.codec.json_text import JsonObject
from carecloud_async._base.codec.write import unstructure
from carecloud_async._base.runtime.secret_text import SecretText
from carecloud_async.models.field_docs import RecordDoc
from carecloud_async.models.input_fields import keepers, read_input

#: A timestamp as the API gives it: in the project's time zone and without an offset.
LocalDatetime = Annotated[datetime, Meta(tz=False)]

#: Metadata of a field that the server alone writes.
READ_ONLY: Final[dict[str, Any]] = {"read_only": True}

#: Metadata of fields that may identify a person, or that are worth money, such as the code of a voucher. Assistants see
#: stars in their place.
PERSONAL: Final[dict[str, Any]] = {"personal": True}

#: Metadata of a field whose value must not be shown.
SECRET: Final[Mapping[str, bool]] = {"secret": True}


def API_NAME(name: str) -> Mapping[str, str]:  # noqa: N802  (used like the constants above)
    """Return the metadata of a field with another name in the API: `from_` with `API_NAME("from")`."""
    return {fields.API_NAME: name}


#: Fields named `…_id` that are not shown: a token, and an id that another system chose (an e-mail address, say).
_HIDDEN: Final = frozenset({"token_id", "external_id"})


class _Record:
    """What read models and inputs have in common: frozen, slotted attrs classes with the API's own field names."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich and structlog print of a record: they would read its fields."""
        ids, secrets = _shown(type(self))
        pairs = [(name, getattr(self, name)) for name in ids if _is_set(getattr(self, name))]
        return pairs + [(name, SecretText()) for name in secrets if _is_set(getattr(self, name))]

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        if cls.__doc__ is not None and "__doc__" in vars(cls):
            cls.__doc__ = RecordDoc(cls.__doc__)  # type: ignore[assignment]  # (`type` asks a descriptor)

    def to_dict(self) -> JsonObject:
        """Return the record as plain JSON values under the API's names, dates in the API's spelling.

        A time with an offset keeps it, and a `Decimal` with more digits than a float holds is a text.
        """
        plain: JsonObject = unstructure(self)
        return plain


class Model(_Record):
    """Base of the read models: frozen, slotted attrs classes with the API's own field names.

    A missing scalar is `None`, a missing object an empty one, a missing list `()`. The id of a record is a `str`: if
    the server leaves it out, the record still arrives, with `""` for its id and one warning in the log. The repr shows
    ids only. A model is usable as a FastAPI response type or in any pydantic type.
    """

    __slots__ = ()
    __tolerant_ids__: ClassVar[bool] = True

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from carecloud_async.models.pydantic_schema import model_schema  # pydantic is the user's own, if anyone's

        return model_schema(cls, source, handler)


class Inside:
    """In the place of a field that a record does not have, and one of its objects has: says where it is.

    A `__getattr__` would be asked for each field without a value whenever a record is read.

    Args:
        place: the field to write instead.
    """

    def __init__(self, name: str, place: str) -> None:
        self._name = name
        self._place = place

    def __get__(self, record: object, cls: type) -> NoReturn:
        raise AttributeError(f"{cls.__name__} has no {self._name!r}: did you mean {self._place}?")


def point_inside(cls: Any, name: str, inner: Any) -> None:
    """Let a record say of the fields of one of its objects that they are there.

    Args:
        cls: the record.
        name: the field of the object.
        inner: the class of the object.
    """
    for field in attrs.fields_dict(inner).keys() - attrs.fields_dict(cls).keys():
        setattr(cls, field, Inside(field, f"{name}.{field}"))


class Updatable(Model):
    """Base of the records that have a `get` and an `update`: one that `get` returned keeps the JSON it was made of.

    Equality, copies and pickles go by the fields alone.
    """

    __slots__ = ("_source",)


def source_of(record: Model) -> bytes | None:
    """Return the answer that a record was made of, if it was kept."""
    return getattr(record, "_source", None)


class Input(_Record):
    """Base of the input classes: no read-only fields; omitted fields are `UNSET` and are not sent.

    `None` sends null, `""` an empty string. A time with an offset is sent in the project's time zone, a `Decimal` as a
    number with all its digits. The repr shows ids only.
    """

    __slots__ = ()

    #: The read model of the same record, which knows what the server alone writes: `class CardInput(Input, reads=Card)`
    reads: ClassVar[type[Model] | None] = None

    def __init_subclass__(cls, *, reads: type[Model] | None = None) -> None:
        super().__init_subclass__()
        if reads is not None:  # attrs makes a slotted class a second time, without the argument
            cls.reads = reads

    @classmethod
    def __attrs_init_subclass__(cls) -> None:
        super().__attrs_init_subclass__()
        init: Callable[..., None] = cls.__init__
        setattr(cls, "__init__", _checked(init, cls))  # noqa: B010  (an assignment would declare it again)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Return the input that `to_dict` gave these values of; times and numbers may be given in Python's types too.

        Args:
            plain: JSON values under the API's names. What is absent is `UNSET`.

        Raises:
            ConfigurationError: a name is unknown or read-only, one is missing, or a value is of another kind; the
                message names the field and never the value.
        """
        made: Self = read_input(cls, plain)
        return made

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from carecloud_async.models.pydantic_schema import input_schema

        return input_schema(cls, source, handler)


def _checked(init: Callable[..., None], cls: type[Input]) -> Callable[..., None]:
    """Return the constructor of an input that checks days and times, and names the place of a field not its own."""

    @functools.wraps(init)
    def checked(self: Input, *args: Any, **kwargs: Any) -> None:
        try:
            keep = keepers(cls)
            for name in kwargs.keys() & keep.keys():
                kwargs[name] = keep[name](kwargs[name])
            init(self, *args, **kwargs)
        except TypeError:
            unknown = next((name for name in kwargs if name not in fields.field_types(cls)), None)
            if unknown is None:
                raise
            hint = fields.meant_field(unknown, cls)
            raise TypeError(f"{cls.__name__}() has no field {unknown!r}{hint}") from None
        finally:
            kwargs.clear()  # a traceback with local variables would show them
            del args

    return checked


def _is_set(value: Any) -> bool:
    return value is not None and value is not UNSET


@typed_cache
def _shown(cls: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the fields that the repr shows with their value, and masked."""
    secrets = tuple(field.name for field in attrs.fields(cls) if field.metadata.get("secret"))
    ids = (field.name for field in attrs.fields(cls) if field.name.endswith("_id") and field.name not in _HIDDEN)
    return tuple(name for name in ids if name not in secrets), secrets
