"""The pages as they are built: links to source become entries of the reference, code becomes a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.builder.catalogue import SOURCE_LINE, Catalogue, is_enum, shown
from docs.builder.objects import Writer

#: Pages that lead to a file of the repository, which takes their place.
_STAND_INS = {"changelog.md": "CHANGELOG.md"}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)\s#]+)(?=[)#])")
#: What stands before the links to source, for readers of the repository.
_BEFORE_SOURCES = "\n\nThe source:\n\n"
#: More entries than this begin with a line for each.
_LONG = 3
#: Beginnings of paragraphs that lead through the source.
_FOR_AUTHORS = ("**How.**", "**Where to begin.**")
_RECORDS = "carecloud_async.models."


def built_page(path: Path, docs: Path, catalogue: Catalogue) -> str:
    """Return a page as it is built.

    Args:
        path: the page.
        docs: the folder of all pages.
        catalogue: what the reference shows.
    """
    if stand_in := _STAND_INS.get(path.name):
        path = docs.parent / stand_in
    text = path.read_text(encoding="utf-8")
    if path.parent == docs / "reference":
        text = reference(text, Writer(catalogue=catalogue, page=path.name))
    return _LINK.sub(lambda link: built_name(link[1]), text)


def built_name(path: str) -> str:
    """Return the name of a page on the site, for a page or a file of code."""
    name = re.sub(r"\bREADME\.md$", "index.md", path)
    return re.sub(r"\.py$", ".md", name)


def code(path: Path) -> str:
    """Return the page of a file of code."""
    return f"# {path.name}\n\n```python\n{path.read_text(encoding='utf-8').rstrip()}\n```\n"


def reference(text: str, writer: Writer) -> str:
    """Return a page of the reference with an entry for each object that it names."""
    parts: list[str] = []
    names: list[str] = []
    level = 2
    for line in [*text.replace(_BEFORE_SOURCES, "\n\n").splitlines(), ""]:
        if source := SOURCE_LINE.match(line):
            names.append(source[1])
            continue
        if names:
            parts += [writer.linked(_entries(names, writer, level)), ""]
            names = []
        if heading := re.match("(#+) ", line):
            level = len(heading[1]) + 1
        parts.append(line)
    return "\n".join(parts)


def _entries(names: list[str], writer: Writer, level: int) -> str:
    modules = [writer.catalogue.get(name) for name in names]
    objects = [obj for module in modules for obj in shown(module)]
    inherited = {str(base) for obj in objects if obj.is_class for base in obj.bases}
    operations = [obj for obj in objects if obj.path in writer.catalogue.calls and obj.name not in inherited]
    families = _parents_first(operations, writer.catalogue.calls)
    others = _in_order([obj for obj in objects if obj.path not in writer.catalogue.calls])
    parts = [writer.families(families, level)] if families else []
    parts += [_explanation(module) for module in modules if _speaks(module)]
    if len(others) > _LONG:
        parts.append(writer.overview(others))
    return "\n\n".join([*parts, *(writer.entry(obj, level) for obj in others)])


def _parents_first(operations: list[Any], calls: Mapping[str, str]) -> list[Any]:
    """Return classes of operations with each family before the parts of its records, which come first in the source."""
    roots = [calls[family.path].split(".")[1] for family in operations]
    return sorted(
        operations, key=lambda family: (roots.index(calls[family.path].split(".")[1]), calls[family.path].count("."))
    )


def _in_order(objects: list[Any]) -> list[Any]:
    """Return objects with what belongs to a record after the record, inputs and changes after what is read."""
    used = {
        obj.name: set(re.findall(r"[A-Z]\w+", " ".join(str(member.annotation) for member in obj.attributes.values())))
        for obj in objects
        if obj.is_class
    }

    def rank(obj: Any) -> tuple[int, bool]:
        is_part = any(obj.name in names for name, names in used.items() if name != obj.name)
        kinds = ["Input" in obj.name, obj.name.endswith("Changes"), is_enum(obj)]
        return 1 + max((number for number, holds in enumerate(kinds) if holds), default=-1), is_part

    return sorted(objects, key=rank) if all(obj.path.startswith(_RECORDS) for obj in objects) else objects


def _explanation(module: Any) -> str:
    """Return a module's docstring without the paragraphs that are for its authors."""
    paragraphs = module.docstring.value.split("\n\n")
    return "\n\n".join(paragraph for paragraph in paragraphs if not paragraph.startswith(_FOR_AUTHORS))


def _speaks(module: Any) -> bool:
    """Say whether a module's docstring explains more than what its entries are."""
    if not module.is_module or module.path.startswith((_RECORDS, "carecloud_async.resources.")):
        return False
    return module.docstring is not None and "\n\n" in module.docstring.value
