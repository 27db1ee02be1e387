"""Columns of a source that is compared: they may lead to every field that a record shows, read-only ones too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from carecloud_async._base.codec.fields import api_names, core_type, field_types, is_model
from carecloud_async.bulk.column_map import Target
from carecloud_async.bulk.columns import Columns, Place
from carecloud_async.bulk.family import Family, field_paths

__all__ = ["ShownColumns"]


class ShownColumns(Columns):
    """The fields that the rows of a comparison may name; see `Columns`."""

    def __init__(self, family: Family, *, renamed: Mapping[str, Target], ignored: Iterable[str]) -> None:
        super().__init__(family, renamed=renamed, ignored=ignored)
        shown = field_paths(family.facts.reads)
        for path, place in self._fields.items():
            if path not in shown:  # such as how a bill was paid
                self._fields[path] = attrs.evolve(place, role="ignored")
        self._add_shown(family.facts.reads, "")
        self._short_names = self._find_short_names()

    def _add_shown(self, model: Any, prefix: str) -> None:
        if model is None:
            return
        names = api_names(model)
        for name, hint in field_types(model).items():
            path, core = prefix + names[name], core_type(hint)
            if is_model(core):
                self._objects.add(path)
                self._add_shown(core, f"{path}.")
            else:
                self._fields.setdefault(path, Place(path=path, hint=hint))
