"""`Model` and `Input`: what all read models and all input classes have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

import attrs
from msgspec import Meta

from carecloud_async.codec.typed_cache import typed_cache
from carecloud_async.codec.unset import UNSET

__all__ = ["READ_ONLY", "SECRET", "Input", "LocalDatetime", "Model"]

#: A timestamp as the API gives it: in the project's time zone and without an offset.
LocalDatetime = Annotated[datetime, Meta(tz=False)]

#: Metadata of a field that the server alone writes.
READ_ONLY: Final[Mapping[str, bool]] = {"read_only": True}

#: Metadata of a field whose value must not be shown.
SECRET: Final[Mapping[str, bool]] = {"secret": True}

#: Fields named `…_id` that are not shown: a token, and an id that another system chose (an e-mail address, say).
_HIDDEN: Final = frozenset({"token_id", "external_id"})


class Model:
    """Base of the read models: frozen, slotted attrs classes with the API's own field names.

    A missing scalar is `None`, a missing object an empty one, a missing list `()`. The repr shows ids only. A model is
    usable as a FastAPI response type or in any pydantic type.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        shown, secret = _visible(type(self))
        words = [f"{name}={getattr(self, name)!r}" for name in shown if _is_set(getattr(self, name))]
        words += [f"{name}='***'" for name in secret if _is_set(getattr(self, name))]
        return f"{type(self).__name__}({', '.join(words)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from carecloud_async.models.pydantic_schema import model_schema  # pydantic is the user's own, if anyone's

        return model_schema(cls, source, handler)


class Input(Model):
    """Base of the input classes: no read-only fields; what is not named is `UNSET` and is not sent.

    `None` sends null, `""` an empty string. The repr shows ids only.
    """

    __slots__ = ()

    #: The read model of the same record, which knows what the server alone writes.
    reads: ClassVar[type[Model] | None] = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from carecloud_async.models.pydantic_schema import input_schema

        return input_schema(cls, source, handler)


def _is_set(value: Any) -> bool:
    return value is not None and value is not UNSET


@typed_cache
def _visible(cls: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    fields = attrs.fields(cls)
    secret = tuple(field.name for field in fields if field.metadata.get("secret"))
    ids = (field.name for field in fields if field.name.endswith("_id"))
    return tuple(name for name in ids if name not in _HIDDEN and name not in secret), secret
