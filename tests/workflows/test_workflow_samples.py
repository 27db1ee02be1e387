"""The samples of docs/workflows.md, as one program against the sandbox."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import carecloud_async.workflows
from benchmarks.api_rules import broken_rules

PAGE = (Path(__file__).parents[2] / "docs/workflows.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
OUTPUTS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


async def awaited(coroutine):
    return await coroutine


def test_samples_run_one_after_another(capsys):
    """Run from top to bottom, the samples print what the page shows and break no rule of the API."""
    names = {"__name__": "samples"}
    for sample in SAMPLES:
        code = compile(sample, "workflows.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(awaited(eval(code, names)))
        else:
            exec(code, names)
    printed = capsys.readouterr().out
    assert [output for output in OUTPUTS if output not in printed] == []
    assert not broken_rules(names["sandbox"])


def test_the_page_names_every_function():
    """Each public function of the package is on the page."""
    functions = [name for name in carecloud_async.workflows.__all__ if name.islower()]
    assert [name for name in functions if not re.search(rf"\b{name}\b", PAGE)] == []
