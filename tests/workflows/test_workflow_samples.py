"""The samples of docs/workflows.md, as one program against the sandbox."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import carecloud_async.workflows

PAGE = (Path(__file__).parents[2] / "docs/workflows.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


async def awaited(coroutine):
    return await coroutine


def test_samples_run_one_after_another(capsys):
    """Read from top to bottom every sample does what the text says."""
    names = {"__name__": "samples"}
    for sample in SAMPLES:
        code = compile(sample, "workflows.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(awaited(eval(code, names)))
        else:
            exec(code, names)
    printed = capsys.readouterr().out
    assert "synchronised True False True" in printed
    assert "signed up " in printed
    assert "make an account for Smith" in printed
    assert re.search(r"^cards (assigned|created) held True$", printed, re.MULTILINE)
    assert "sent 39475X cancelled C39475X" in printed
    assert re.search(r"^event \w+ False$", printed, re.MULTILINE)
    assert "written 1500 in 2" in printed
    assert "created True created 2" in printed
    assert "found by card email 0" in printed
    assert re.search(r"^offers True \d+ True$", printed, re.MULTILINE)
    assert "reminded once True True" in printed
    assert not names["sandbox"].violations


def test_the_page_tells_every_function():
    """Each public function of the package is in the page, so that a reader finds it."""
    functions = [name for name in carecloud_async.workflows.__all__ if name.islower()]
    assert [name for name in functions if not re.search(rf"\b{name}\b", PAGE)] == []
