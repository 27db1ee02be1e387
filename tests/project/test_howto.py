"""The index of jobs names what can be called, and the page on workflows every function."""

import re

from project_files import ROOT

from carecloud_async import fastapi, workflows
from carecloud_async.cli.app import run

PAGE = (ROOT / "docs/howto.md").read_text(encoding="utf-8")
#: The second column: the call or the command of each job.
CALLS = re.findall(r"^\| [^|]+ \| ([^|]+) \| \[", PAGE, re.MULTILINE)


def test_the_functions_and_commands_of_the_index_exist(capfd):
    """Each job names a function of the package, a method of a client or a listing, or a command."""
    named = [name for call in CALLS for name in re.findall(r"`([^`]+)`", call)]
    assert len(named) > len(CALLS) / 2
    functions = {name for name in named if name.isidentifier() and name not in {"carecloud_client", "update"}}
    public = {*workflows.__all__, *fastapi.__all__, "CustomerSession"}
    assert functions - public == set()
    for words in {tuple(name.split()[:2]) for name in named if name.startswith("carecloud ")}:
        assert run([*words[1:], "--help"]) == 0
    for count in ("README.md", "docs/quickstart.md"):
        assert "thirty jobs" in (ROOT / count).read_text(encoding="utf-8")
    assert len(CALLS) == 30


def test_the_page_on_workflows_names_every_function():
    """Each public function of the package is on the page."""
    page = (ROOT / "docs/workflows.md").read_text(encoding="utf-8")
    functions = [name for name in workflows.__all__ if name.islower()]
    assert [name for name in functions if not re.search(rf"\b{name}\b", page)] == []
