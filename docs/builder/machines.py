"""The site for programs: `llms.txt`, `llms-full.txt`, each page as Markdown beside its HTML, and Sphinx's inventory."""

from __future__ import annotations

import json
import re
import tomllib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from carecloud_async import __version__
from docs.builder.text import opening, title


def write(site: Path, pages: Mapping[str, str], *, settings: Mapping[str, Any]) -> None:
    """Write the index, all pages in one file, and each page.

    Args:
        site: the folder of the site.
        pages: name of each page → its Markdown.
        settings: of the site: its name, its description and its navigation.
    """
    for name, text in pages.items():
        (site / name).write_text(text, encoding="utf-8")
    (site / "llms.txt").write_text(index(pages, settings=settings), encoding="utf-8")
    order = [name for _, entries in sections(settings["nav"]) for _, name in entries]
    whole = [f"<!-- {name} -->\n\n{pages[name].strip()}\n" for name in order]
    (site / "llms-full.txt").write_text("\n".join(whole), encoding="utf-8")


def index(pages: Mapping[str, str], *, settings: Mapping[str, Any], folder: str = "") -> str:
    """Return the index of all pages, each with its first sentence, as https://llmstxt.org describes it.

    Args:
        pages: name of each page → its Markdown.
        settings: of the site: its name, its description and its navigation.
        folder: stands before the names in links.
    """
    lines = [f"# {settings['site_name']}", "", f"> {settings['site_description']}."]
    for section, entries in sections(settings["nav"]):
        lines += ["", f"## {section}", ""]
        for label, name in entries:
            sentence = opening(pages[name])
            lines.append(f"- [{label or title(pages[name])}]({folder}{name}){': ' + sentence if sentence else ''}")
    return "\n".join([*lines, ""])


def repository_index(docs: Path) -> str:
    """Return the index for the repository: `llms.txt` beside the README."""
    settings = tomllib.loads((docs / "zensical.toml").read_text(encoding="utf-8"))["project"]
    pages = {path.relative_to(docs).as_posix(): path.read_text(encoding="utf-8") for path in docs.rglob("*.md")}
    return index(pages, settings=settings, folder="docs/")


def write_inventory(site: Path, objects: Iterable[tuple[str, str, str]], *, project: str) -> None:
    """Write `objects.inv`, by which other projects' docs link to this reference (version 2, as intersphinx reads it).

    Args:
        site: the folder of the site.
        objects: path, kind and place of each object.
        project: its name.
    """
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: {__version__}\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [f"{path} py:{kind} 1 reference/{place.replace('.md#', '.html#')} -\n" for path, kind, place in objects]
    (site / "objects.inv").write_bytes(head.encode() + zlib.compress("".join(lines).encode()))


def name_search_results(site: Path) -> None:
    """Let the search know methods of families by their whole names, so that they are found before records.

    Args:
        site: the folder of the site.
    """
    index = site / "search.json"
    search = json.loads(index.read_text(encoding="utf-8"))
    for entry in search["items"]:
        name = re.fullmatch(r"<code>(\w+)</code>", entry["title"])
        if name is None or not entry["path"] or entry["path"][0] != "API methods":
            continue
        is_record = name[1][0].isupper()
        whole = f"models.{name[1]}" if is_record else entry["location"].partition("#")[2]
        entry["title"] = f"<code>{whole}</code>"
    index.write_text(json.dumps(search, ensure_ascii=False), encoding="utf-8")


def sections(nav: list[Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Return each section of the navigation with the labels and names of its pages."""
    for part in nav:
        ((section, entries),) = part.items()
        yield section, [_entry(entry) for entry in entries]


def _entry(entry: Any) -> tuple[str, str]:
    if isinstance(entry, str):
        return "", entry
    ((label, name),) = entry.items()
    return label, name
