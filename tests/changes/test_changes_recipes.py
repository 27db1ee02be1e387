"""The mirrors of docs/changes.md, by SQL alone."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import anyio
import pytest
from postgres_server import serve_postgres

from carecloud_async import CareCloud
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs/changes.md").read_text(encoding="utf-8")


def recipe(title, language):
    """Return the first sample of a section of the page."""
    return re.search(rf"^## {title}.*?^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[1]


async def test_the_mirror_in_duckdb_is_the_list(tmp_path, monkeypatch):
    """Night after night the recipe makes the table equal to the list, deletions included."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    monkeypatch.chdir(tmp_path)
    script = recipe("A mirror in DuckDB", "sql")
    sandbox, database = Sandbox(customers=1, seed=1, records=30), duckdb.connect()
    cards = sandbox.records("cards")
    async with CareCloud(
        "sandbox.crmcarecloud.com", auth=sandbox.credentials(), transport=sandbox.transport()
    ) as client:
        for _ in range(3):
            changes = client.cards.list().changes(state="cards.state")
            await changes.to_file("changes.parquet", overwrite=True)
            database.execute(script)
            shown = [row[0] for row in database.execute("SELECT card_id FROM cards ORDER BY card_id").fetchall()]
            assert shown == sorted(cards.ids())
            cards.delete(cards.ids()[3])


def test_the_nightly_job_keeps_the_file_until_it_is_loaded(tmp_path):
    """A failed load leaves the file, and the next run of the job loads it without asking for changes."""
    programs = tmp_path / "programs"
    programs.mkdir()
    stubs = {
        "carecloud": 'echo asked >> log; : > "$4"',
        "duckdb": "echo loaded >> log; cat > /dev/null; [ ! -e broken ]",
    }
    for name, text in stubs.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    (tmp_path / "load.sql").touch()
    (tmp_path / "job").write_text(recipe("Every night", "bash"), encoding="utf-8")
    broken, changes = tmp_path / "broken", tmp_path / "changes.parquet"
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    broken.touch()
    assert subprocess.run(["sh", "job"], cwd=tmp_path, env=environment, check=False).returncode != 0
    assert changes.exists()
    broken.unlink()
    assert subprocess.run(["sh", "job"], cwd=tmp_path, env=environment, check=False).returncode == 0
    assert not changes.exists()
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["asked", "loaded", "loaded"]


@pytest.mark.thorough
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_mirror_in_postgresql_is_the_list(tmp_path, monkeypatch):
    """Night after night the recipe makes the table equal to the list, with quotes, backslashes, tabs and deletions."""
    monkeypatch.chdir(tmp_path)
    script = recipe("A mirror in PostgreSQL", "sql")
    sandbox = Sandbox(customers=30, seed=1)
    with serve_postgres() as psql:
        async with CareCloud(
            "sandbox.crmcarecloud.com", auth=sandbox.credentials(), transport=sandbox.transport()
        ) as client:
            for night in range(3):
                name = f'a "quoted" name, with a \\ and a \t and {night}'
                sandbox.customers.update(sandbox.customers.id_at(5), {"personal_information": {"first_name": name}})
                changes = client.customers.list().changes(state="customers.state")
                await changes.to_file("changes.jsonl", overwrite=True)
                run = partial(psql, cwd=tmp_path)
                await anyio.to_thread.run_sync(run, script.replace("cards", "customers"))
                shown = await anyio.to_thread.run_sync(run, 'SELECT record FROM customers ORDER BY id COLLATE "C";')
                ids = sorted(sandbox.customers.ids())
                records = [json.loads(line) for line in shown.split("\n")[:-1]]
                assert [record["customer_id"] for record in records] == ids
                changed = next(record for record in records if record["customer_id"] == sandbox.customers.id_at(5))
                assert changed["personal_information"]["first_name"] == name
                sandbox.customers.delete(ids[3] if ids[3] != sandbox.customers.id_at(5) else ids[4])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_the_service_follows_a_list_until_sigterm(tmp_path):
    """The service applies each change once, outlives a failing server, exits with 0 at SIGTERM, and goes on later."""
    program = tmp_path / "follow.py"
    program.write_text(recipe("Every five minutes, as a service", "python").replace("PAUSE = 300", "PAUSE = 0.05"))
    sandbox = Sandbox(customers=1, seed=1, records=30)
    cards = sandbox.records("cards")
    watchdogs = []
    login = {"EXTERNAL_APPLICATION_ID": USER_APPLICATION_ID, "LOGIN": USER_LOGIN, "PASSWORD": USER_PASSWORD}

    with sandbox.running() as url:
        settings = {f"CARECLOUD_{name}": value for name, value in {**login, "PROJECT_URL": url}.items()}
        environment = {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(sys.path)}

        def start():
            service = subprocess.Popen(
                [sys.executable, program], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
            )
            watchdog = threading.Timer(300, service.kill)
            watchdog.daemon = True
            watchdog.start()
            watchdogs.append(watchdog)
            return service

        def follow(service, word):
            """Return the lines of output up to one that holds a word."""
            shown = []
            while not shown or word not in shown[-1]:
                shown.append(service.stdout.readline())
                assert shown[-1], shown
            return shown

        def stop(service):
            service.send_signal(signal.SIGTERM)
            service.communicate()
            watchdogs.pop().cancel()
            return service.returncode

        service = start()
        assert len(follow(service, '"created": 30')) == 31
        gone = cards.ids()[3]
        cards.delete(gone)
        assert f"apply deleted {gone}\n" in follow(service, '"deleted": 1')
        sandbox.faults.add("GET /cards", status=404, times=1)
        follow(service, "again in a while")
        follow(service, '"exact": true')
        assert stop(service) == 0
        created = cards.insert()
        service = start()
        assert follow(service, '"created"')[:-1] == [f"apply created {created}\n"]
        assert stop(service) == 0
