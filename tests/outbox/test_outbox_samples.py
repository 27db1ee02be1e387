"""The samples of docs/outbox.md, as one program against the sandbox."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import httpx
import pytest

from carecloud_async.outbox.kinds import KINDS

PAGE = (Path(__file__).parents[2] / "docs/outbox.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
OUTPUTS = re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


async def awaited(coroutine):
    return await coroutine


def test_samples_run_one_after_another(capsys, tmp_path, monkeypatch):
    """Run from top to bottom, the samples print what the page shows; the application stores what it is sent."""
    pytest.importorskip("fastapi", reason="the fastapi extra is not installed")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "samples"}
    for sample in SAMPLES:
        code = compile(sample, "outbox.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(awaited(eval(code, names)))
        else:
            exec(code, names)
    assert capsys.readouterr().out == "".join(OUTPUTS)
    asyncio.run(use(names["app"], names["customer"].customer_id))
    notes = names["sandbox"].records("point-history")
    assert any("[ref: order-17]" in str(notes.record(customer_id)) for customer_id in notes.ids())


async def use(app, customer_id):
    """Pay at the application, and close it when that went out."""
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
            assert (await http.post(f"/paid/{customer_id}", params={"order": "order-17"})).status_code == 202
            assert (await http.post(f"/paid/{customer_id}", params={"order": "order 17"})).status_code == 422
        outbox = app.state.carecloud_default_outbox
        assert await outbox.flush()


def test_the_page_names_every_kind():
    """Each operation that an outbox sends stands on the page."""
    calls = {kind.name.partition(" ")[0] for kind in KINDS}
    assert [call for call in calls if f"`{call}`" not in PAGE] == []
