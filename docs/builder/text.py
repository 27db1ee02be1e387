"""Docstrings and annotations as Markdown: tables, links to what is documented, the first sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from carecloud_async.models.field_docs import meaning_of

#: Returns the link to a documented object, by its name.
Link = Callable[[str], str | None]
#: Types that stand in nearly all signatures: a link from each would say nothing.
_EVERYWHERE = {"Listing", "Paging", "UnsortedPaging", "CareCloud"}


def summary(obj: Any) -> str:
    """Return the first sentence of an object's docstring, without the operation's path."""
    paragraph = " ".join(obj.docstring.value.split("\n\n")[0].split()) if obj.docstring else ""
    return re.sub(r" \((?:`[A-Z]+ /[^`]*`|`GET`, then [^)]*)\)", "", first_sentence(paragraph))


def first_sentence(paragraph: str) -> str:
    """Return the first sentence of a paragraph; one that announces what follows ends there."""
    whole = re.match(r".+?[.!?](?=\s|$)", paragraph)
    return whole[0] if whole else re.sub(":$", ".", paragraph)


def sentence(text: str) -> str:
    """Return text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def explanation(obj: Any) -> str:
    """Return a docstring without its sections, as one paragraph; without one, what the name of a field says."""
    if obj.docstring is None and obj.path.startswith("carecloud_async.models."):
        return meaning_of(obj.name, obj.parent.name.removesuffix("Changes").removesuffix("Input"))
    parts = [section.value for section in obj.docstring.parsed if section.kind.value == "text"] if obj.docstring else []
    return " ".join(" ".join(parts).split())


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; columns without any text are left out."""
    rows = [[_cell(text) for text in row] for row in rows]
    filled = [number for number in range(len(headers)) if any(row[number] for row in rows)]
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line[number] for number in filled)} |" for line in lines)


def type_text(annotation: Any, link: Link) -> str:
    """Return an annotation with its alternatives joined by `or`, each a link where it names something documented."""
    if annotation is None:
        return ""
    text = re.sub(r"\s+", " ", str(annotation)).strip("'\"").replace("LocalDatetime", "datetime")
    parts = [part for part in _alternatives(text) if part != "Unset"]
    return " or ".join(_linked(part, link) for part in parts)


def signature(function: Any, *, before: str = "", result: Any = None) -> str:
    """Return a call with its arguments and what it returns, on one line or an argument a line.

    Args:
        function: what is called.
        before: what stands before its name.
        result: shown in the place of the function's own annotation.
    """
    words = _arguments(function)
    head = f"{'await ' if 'async' in function.labels else ''}{before}{function.name}"
    returned = result or function.returns
    tail = f" -> {returned}" if returned is not None else ""
    line = f"{head}({', '.join(words)}){tail}"
    if len(line) <= 76:
        return line
    return "\n".join([f"{head}(", *(f"    {word}," for word in words), f"){tail}"])


def sections(obj: Any, link: Link, *, without: Sequence[str] = ()) -> str:
    """Return a docstring: its text, its arguments as a table, what it returns and what it raises.

    Args:
        obj: the documented object.
        link: finds what is obj.
        without: kinds of sections to leave out.
    """
    parts: list[str] = []
    for section in obj.docstring.parsed if obj.docstring else ():
        kind = section.kind.value
        if kind not in without:
            parts.append(_SECTIONS[kind](section.value, link))
    text = "\n\n".join(part for part in parts if part)
    return re.sub(r"\bdocs/(\w+\.md)\b", r"[\1](../\1)", text)


def types(function: Any, link: Link) -> list[str]:
    """Return links to the types of a signature, without those that its table of arguments has."""
    links = {}
    documented = {parameter.name for parameter in _section(function, "parameters")}
    notes = [parameter.annotation for parameter in function.parameters if parameter.name not in documented]
    for name in re.findall(r"[A-Za-z_]\w*", " ".join(map(str, [*notes, function.returns]))):
        if name not in _EVERYWHERE and (target := link(name)):
            links[name] = f"[`{name}`]({target})"
    return list(links.values())


def _section(obj: Any, kind: str) -> list[Any]:
    parts = obj.docstring.parsed if obj.docstring else ()
    return next((part.value for part in parts if part.kind.value == kind), [])


def _cell(text: str) -> str:
    text = " ".join(text.split())
    # A bar inside code ends the cell for some readers of Markdown.
    text = re.sub(r"`[^`]*`", lambda code: code[0].replace(" | ", " or ").replace("|", "/"), text)
    return text.replace("|", "\\|")


def _alternatives(text: str) -> list[str]:
    """Split at the bars that are in no brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "[(") - (char in "])")
        if char == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def _linked(text: str, link: Link) -> str:
    for name in re.findall(r"[A-Za-z_]\w*", text):
        if target := link(name):
            return f"[`{text}`]({target})"
    return f"`{text}`"


def _arguments(function: Any) -> list[str]:
    words, keyword_only = [], False
    for parameter in function.parameters:
        if parameter.name in {"self", "cls"}:
            continue
        kind = parameter.kind.value
        if kind == "keyword-only" and not keyword_only:
            words.append("*")
        keyword_only = keyword_only or kind in {"keyword-only", "variadic positional"}
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        default = "" if parameter.default is None or stars else str(parameter.default)
        note = f": {str(parameter.annotation).strip(chr(39))}" if parameter.annotation is not None else ""
        words.append(f"{stars}{parameter.name}{note}{(' = ' if note else '=') + default if default else ''}")
    return words


def default_text(value: Any) -> str:
    """Return the default of an argument or attribute as code; empty if it has none."""
    text = re.sub(r"\s+", " ", str(value)) if value is not None else ""
    if re.match(r"(attrs\.)?field\(", text):
        default = re.search(r"\bdefault=([^,()]+(?:\([^()]*\))?)", text)
        text = default[1].strip() if default else ""
    return f"`{text}`" if text else ""


def _default_of(argument: Any) -> str:
    return "" if argument.name.startswith("*") else default_text(argument.value)


def _arguments_table(values: Any, link: Link) -> str:
    rows = [
        (
            f"`{argument.name}`",
            type_text(argument.annotation, link),
            _default_of(argument),
            sentence(argument.description),
        )
        for argument in values
    ]
    return table(["Argument", "Type", "Default", "Meaning"], rows)


def _raised(values: Any, link: Link) -> str:
    lines = [f"- {type_text(error.annotation, link)}: {' '.join(error.description.split())}" for error in values]
    return "Raises:\n\n" + "\n".join(lines)


def _returned(values: Any, link: Link) -> str:
    return "\n\n".join(f"Returns {type_text(value.annotation, link)}: {value.description}" for value in values)


_SECTIONS: dict[str, Callable[[Any, Link], str]] = {
    "text": lambda value, _: value,
    "parameters": _arguments_table,
    "attributes": _arguments_table,
    "raises": _raised,
    "returns": _returned,
    "yields": _returned,
}


def title(text: str) -> str:
    """Return the title of a page."""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    return heading[1] if heading else ""


def opening(text: str) -> str:
    """Return the first sentence of a page."""
    for paragraph in re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE).split("\n\n"):
        if paragraph[:1].isalpha() or paragraph[:1] in {"`", "*", "["}:
            return first_sentence(re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(paragraph.split())))
    return ""
