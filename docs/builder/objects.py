"""Classes, records and functions as sections of a page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from docs.builder.catalogue import MADE_BY_METHODS, Catalogue, is_enum
from docs.builder.text import default_text, explanation, sections, sentence, signature, summary, table, type_text, types

#: Characters of an entry of the table of contents.
_WIDTH_OF_CONTENTS = 24


@dataclass(frozen=True)
class Writer:
    """Writes the entries of one page.

    Attributes:
        catalogue: what there is, and where it stands.
        page: the file's name.
    """

    catalogue: Catalogue
    page: str

    def link(self, name: str) -> str | None:
        """Return the link to a documented object."""
        return self.catalogue.link(name, page=self.page)

    def families(self, classes: list[Any], level: int) -> str:
        """Return classes of operations: first a line for each method, then the methods."""
        overview = [self._methods_of_family(cls) for cls in classes]
        details = [self._family(cls, level) for cls in classes]
        return "\n\n".join([*overview, *details])

    def entry(self, obj: Any, level: int) -> str:
        """Return the section of one class, function or constant."""
        if obj.is_function:
            return self._function(obj, level, anchor=obj.name)
        return self._class(obj, level) if obj.is_class else self._constant(obj, level)

    def linked(self, text: str) -> str:
        """Return Markdown whose names of classes are links, except in headings and blocks of code."""
        lines, inside = [], False
        for line in text.splitlines():
            inside ^= line.startswith("```")
            plain = inside or line.startswith(("#", "```", "    "))
            lines.append(line if plain else re.sub(r"(?<!\[)`([A-Z]\w+)`(?!\])", self._linked_name, line))
        return "\n".join(lines)

    def _linked_name(self, name: re.Match[str]) -> str:
        target = self.link(name[1])
        return f"[{name[0]}]({target})" if target else name[0]

    def overview(self, objects: list[Any]) -> str:
        """Return a line for each object."""
        return table(["Name", "Meaning"], [(f"[`{obj.name}`]({self.link(obj.path)})", summary(obj)) for obj in objects])

    def _methods_of_family(self, cls: Any) -> str:
        call = self.catalogue.calls[cls.path]
        anchor = self.catalogue.anchor(cls)
        rows = [(f"[`{obj.name}`](#{anchor}.{obj.name})", summary(obj)) for obj in self.catalogue.methods(cls)]
        if update := self._update(cls):
            rows.append((f"[`update`](#{anchor}.update)", summary(update)))
        if "_bulk" in cls.members:
            rows.append((f"[`bulk_write`]({self.link('BulkWriting')})", "Write many records, with one outcome each."))
        return f"**`{call}`**: {_lower(summary(cls))}\n\n{table(['Method', 'What it does'], rows)}"

    def _family(self, cls: Any, level: int) -> str:
        call, anchor = self.catalogue.calls[cls.path], self.catalogue.anchor(cls)
        short = anchor if len(anchor) <= _WIDTH_OF_CONTENTS else anchor.rpartition(".")[2]
        label = f'{anchor} data-toc-label="{short}"'
        parts = [_heading(level, f"`{call}`", label), sections(cls, self.link)]
        parts += [
            self._operation(obj, level + 1, anchor=f"{anchor}.{obj.name}", before=f"{call}.")
            for obj in self.catalogue.methods(cls)
        ]
        if update := self._update(cls):
            parts.append(self._updated(cls, update, level + 1))
        return "\n\n".join(part for part in parts if part)

    def _update(self, cls: Any) -> Any:
        path = "carecloud_async.resources.updating.Updating.update"
        return self.catalogue.get(path) if self.catalogue.inherits_update(cls) else None

    def _updated(self, cls: Any, update: Any, level: int) -> str:
        """Return the `update` of a family, with the types of its changes and its record."""
        base = next(str(base) for base in cls.bases if str(base).startswith("Updating["))
        changes, record = re.findall(r"['\"]?([A-Za-z]\w*)['\"]?[,\]]", base)
        call, anchor = self.catalogue.calls[cls.path], self.catalogue.anchor(cls)
        text = (
            signature(update, before=f"{call}.").replace(": Changes", f": {changes}").replace("Record |", f"{record} |")
        )
        more = f"`changes` is a {type_text(changes, self.link)}. What it does and raises: [`update`](models.md#update)."
        parts = [_heading(level, "`update`", f"{anchor}.update"), _code(text), f"{summary(update)} {more}"]
        return "\n\n".join([*parts, *self._callers(f"{anchor}.update")])

    def _operation(self, obj: Any, level: int, *, anchor: str, before: str) -> str:
        """Return a method that is an operation: who may call it, and a call with its answer."""
        parts = [self._function(obj, level, anchor=anchor, before=before)]
        parts += self._callers(anchor)
        if sample := self.catalogue.samples.get(anchor):
            parts.append(_details("A call and its answer", _code(sample.call), _answer(sample.answer)))
        return "\n\n".join(parts)

    def _callers(self, anchor: str) -> list[str]:
        identity = self.catalogue.identities.get(anchor)
        return [f"May be called by {identity}."] if identity else []

    def _function(self, obj: Any, level: int, *, anchor: str, before: str = "") -> str:
        shown = [signature(each, before=before) for each in obj.overloads or [obj]]
        parts = [_heading(level, f"`{obj.name}`", anchor), *map(_code, shown), sections(obj, self.link)]
        if linked := types(obj, self.link):
            parts.append(f"Types: {', '.join(linked)}.")
        return "\n\n".join(part for part in parts if part)

    def _class(self, cls: Any, level: int) -> str:
        name = cls.name
        methods = self.catalogue.methods(cls)
        parts = [_heading(level, f"`{name}`", name), self._text_of_class(cls)]
        if len(methods) > 1:
            rows = [(f"[`{obj.name}`](#{name}.{obj.name})", summary(obj)) for obj in methods]
            parts.append(table(["Method", "What it does"], rows))
        hidden = ["parameters"] if name in MADE_BY_METHODS else []
        parts += [sections(cls, self.link, without=["attributes", "text", *hidden]), self._fields(cls)]
        parts += [
            self._function(obj, level + 1, anchor=f"{name}.{obj.name}", before=_owner(cls, obj)) for obj in methods
        ]
        return "\n\n".join(part for part in parts if part)

    def _text_of_class(self, cls: Any) -> str:
        bases = [text for base in cls.bases if (text := type_text(str(base), self.link)) and "](" in text]
        inherits = [base for base in bases if "Model" not in base and "Input`" not in base]
        note = f"Inherits from {', '.join(inherits)}." if inherits else ""
        text = sections(cls, self.link, without=["attributes", "parameters", "raises"])
        return "\n\n".join(part for part in (text, note) if part)

    def _fields(self, cls: Any) -> str:
        members = {name: obj for name, obj in self.catalogue.members(cls).items() if obj.is_attribute}
        if is_enum(cls):
            rows = [(f"`{name}`", f"`{obj.value}`", explanation(obj)) for name, obj in members.items()]
            return table(["Name", "Value", "Meaning"], rows)
        if inputs := self._same_as_input(cls, members):
            return f"Its keys are the fields of [`{inputs}`]({self.link(inputs)}), each of them optional."
        documented = self._documented(cls)
        rows = []
        for name, obj in members.items():
            if str(obj.annotation).startswith("Family["):
                rows.append(self._family_attribute(name, str(obj.annotation)[7:-1]))
                continue
            meaning = sentence(documented.get(name) or explanation(obj))
            if meaning or self._is_record(cls):
                default = "" if self._is_record(cls) else default_text(obj.value)
                rows.append((f"`{name}`", type_text(obj.annotation, self.link), default, _marked(cls, obj, meaning)))
        rows += [(f"`{name}`", "", "", sentence(text)) for name, text in documented.items() if name not in members]
        headers = ["Field" if self._is_record(cls) else "Attribute", "Type", "Default", "Meaning"]
        return table(headers, rows) if rows else ""

    def _family_attribute(self, name: str, cls: str) -> tuple[str, str, str, str]:
        catalogue = self.catalogue
        path = next(path for path in catalogue.places if path.endswith(f".{cls}") and ".resources." in path)
        return (f"[`{name}`]({self.link(path)})", "", "", summary(catalogue.get(path)))

    def _documented(self, cls: Any) -> dict[str, str]:
        """Return the meaning of attributes from the class's docstring, and of an input's from what it reads."""
        meanings = {}
        for owner in (*self.catalogue.bases(cls), cls):
            for section in owner.docstring.parsed if owner.docstring else ():
                if section.kind.value == "attributes":
                    meanings |= {obj.name: obj.description for obj in section.value}
        if reads := cls.keywords.get("reads"):
            model = self.catalogue.members(self._record(str(reads), cls))
            meanings |= {name: explanation(obj) for name, obj in model.items() if obj.is_attribute}
        return meanings

    def _record(self, name: str, cls: Any) -> Any:
        record = cls.module.members.get(name)
        return self.catalogue.get(record.target_path) if record.is_alias else record

    def _same_as_input(self, cls: Any, members: dict[str, Any]) -> str | None:
        name = cls.name.removesuffix("Changes") + "Input"
        other = cls.module.members.get(name)
        if not cls.name.endswith("Changes") or other is None or other.is_alias:
            return None
        fields = {field for field, obj in self.catalogue.members(other).items() if obj.is_attribute}
        return name if fields == set(members) else None

    def _is_record(self, cls: Any) -> bool:
        return cls.path.startswith("carecloud_async.models.") or any("TypedDict" in str(base) for base in cls.bases)

    def _constant(self, obj: Any, level: int) -> str:
        value = f"```python\n{obj.name} = {obj.value}\n```" if obj.value is not None else ""
        return "\n\n".join([_heading(level, f"`{obj.name}`", obj.name), value, sections(obj, self.link)])


def _heading(level: int, text: str, anchor: str) -> str:
    return f"{'#' * level} {text} {{#{anchor}}}"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _answer(text: str) -> str:
    # Colours would make the largest pages half as large again.
    return f"```text\n{text}\n```" if text else "The answer has no body."


def _details(title: str, *blocks: str) -> str:
    """Return blocks that a reader can close."""
    inner = "\n\n".join(blocks)
    return "\n".join([f'???+ example "{title}"', "", *(f"    {line}" if line else "" for line in inner.splitlines())])


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _owner(cls: Any, method: Any) -> str:
    return f"{cls.name}." if {"classmethod", "staticmethod"} & method.labels else ""


def _marked(cls: Any, obj: Any, meaning: str) -> str:
    """Say what only the server writes, and what an input needs."""
    if "READ_ONLY" in str(obj.value):
        return f"{meaning} Read-only."
    required = cls.name.endswith("Input") and obj.value is None
    return f"{meaning} Required." if required else meaning
