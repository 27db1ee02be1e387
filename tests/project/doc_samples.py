"""The samples of the README and of the site's pages, and what each page may assume to be there."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from itertools import pairwise

from project_files import ROOT

_BLOCK = re.compile(
    r"^(<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)

#: The pages whose samples are run; those below `docs/reference` are made from docstrings.
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs/examples/README.md"]
PAGES += sorted((ROOT / "carecloud_async/.agents").rglob("*.md"))


def blocks(path, language):
    """The blocks of a page in one language."""
    return [block for block in _BLOCK.finditer(path.read_text(encoding="utf-8")) if block["language"] == language]


def all_blocks(text):
    """The blocks of a page in any language."""
    return list(_BLOCK.finditer(text))


def absent(block):
    """The libraries of the extras `test-frames` and `test-engines` that a block uses and that are not installed."""
    return {name for name in re.findall(r"\b(?:dlt|duckdb|pandas|polars)\b", block["text"]) if find_spec(name) is None}


def outputs(path):
    """The outputs that a page shows: blocks of text right after a block of Python, or after "It prints:".

    Those of blocks that lack a library are left out.
    """
    page = path.read_text(encoding="utf-8")
    return [
        block["text"]
        for before, block in pairwise(_BLOCK.finditer(page))
        if (before["language"], block["language"]) == ("python", "text")
        and not absent(before)
        and re.fullmatch(r"\s*|.*It prints:\s*", page[before.end() : block.start()], re.DOTALL)
    ]


def prose(path):
    """The text of a page without its blocks."""
    return _BLOCK.sub("", path.read_text(encoding="utf-8"))


def compiled(text, name):
    """A sample as code; `await` may stand at its top level, and a decorator without what it decorates."""
    if text.strip().splitlines()[-1].startswith("@"):
        text += "def shown(): ..."
    return compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


#: Put above the samples of a page that are tests of the reader's.
TEST_PRELUDES = {
    "fastapi.md": """
import pytest
from fastapi import FastAPI

from carecloud_async import Customer
from carecloud_async.fastapi import CareCloudDep, carecloud_dep

app = FastAPI()


@app.get("/customers/{customer_id}")
async def show(customer_id: str, carecloud: CareCloudDep) -> Customer:
    return await carecloud.customers.get(customer_id)


@pytest.fixture
def anyio_backend():
    return "asyncio"
""",
    # The whole example, and then its test.
    "webhooks.md": """
import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"


"""
    + blocks(ROOT / "docs/webhooks.md", "python")[0]["text"],
    # The application, as the module that the page calls it.
    "login.md": blocks(ROOT / "docs/login.md", "python")[0]["text"]
    + """

import sys

sys.modules["main"] = sys.modules[__name__]
""",
    "testing.md": "",
}
