"""The mirrors of docs/changes.md, by SQL alone."""

import re
from pathlib import Path

import pytest

from carecloud_async import CareCloud
from carecloud_async.changes.file import ChangesFileOptions, write_changes
from carecloud_async.changes.values import ChangesOptions
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs/changes.md").read_text(encoding="utf-8")


async def test_the_mirror_in_duckdb_is_the_list(tmp_path, monkeypatch):
    """Night after night the recipe makes the table equal to the list, deletions included."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    monkeypatch.chdir(tmp_path)
    recipe = re.search(r"^## A mirror in DuckDB.*?^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[1]
    sandbox, database = Sandbox(customers=1, seed=1, records=30), duckdb.connect()
    cards = sandbox.records("cards")
    async with CareCloud(
        "sandbox.crmcarecloud.com", auth=sandbox.credentials(), transport=sandbox.transport()
    ) as client:
        for _ in range(3):
            source = client.cards.list().export_source()
            options = ChangesFileOptions(overwrite=True)
            await write_changes(source, "changes.parquet", "cards.state", ChangesOptions(), options)
            database.execute(recipe)
            found = [row[0] for row in database.execute("SELECT card_id FROM cards ORDER BY card_id").fetchall()]
            assert found == sorted(cards.ids())
            cards.delete(cards.ids()[3])
