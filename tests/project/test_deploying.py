"""The page on deploying: its table of timeouts, and its container."""

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager

import httpx
import pytest
import yaml
from child_processes import free_port, wait_until
from doc_samples import all_blocks, blocks
from project_files import ROOT

from carecloud_async import Timeout
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

PAGE = ROOT / "docs/deploying.md"
TEXT = PAGE.read_text(encoding="utf-8")
#: The instructions of the container.
CONTAINER = next(block["text"] for block in all_blocks(TEXT) if block["language"] == "dockerfile").splitlines()
#: The application that it holds.
MAIN = next(block["text"] for block in blocks(PAGE, "python") if "/health/ready" in block["text"])


def rows():
    table = TEXT.partition("## Timeouts that fit together")[2].partition("\n## ")[0]
    return re.findall(r"^\| (.+?) \| (\d+) \| (.+) \|$", table, re.MULTILINE)


def test_the_timeouts_of_the_table_add_up():
    """A call's bound is its total and the limiter's wait, a route's that of two calls, and each line is longer."""
    seconds = [int(row[1]) for row in rows()]
    given = {name: float(number) for name, number in re.findall(r"(\w+)=(\d+)", rows()[0][2])}
    timeout = Timeout(**given)
    assert seconds[0] == timeout.total
    assert seconds[1] == timeout.total + timeout.limiter_seconds
    assert seconds[2] == 2 * seconds[1]
    assert seconds == sorted(set(seconds))


def command():
    """What the container runs, as a list: a text would be run by a shell, which keeps SIGTERM to itself."""
    line = next(line for line in CONTAINER if line.startswith("CMD "))
    words = json.loads(line.removeprefix("CMD "))
    assert isinstance(words, list)
    return words


def test_the_container_fits_the_page():
    """Its extras exist, and its command, port and probes are those of the rest of the page."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (installed,) = re.findall(r"'carecloud-async\[([\w,]+)\]'", "\n".join(CONTAINER))
    assert set(installed.split(",")) <= set(extras)
    grace, orchestrator = (int(row[1]) for row in rows()[-2:])
    words = command()
    assert words[:2] == ["uvicorn", "main:app"]
    assert words[words.index("--timeout-graceful-shutdown") + 1] == str(grace)
    port = int(words[words.index("--port") + 1])
    assert f"EXPOSE {port}" in CONTAINER
    assert f"docker run --rm -p {port}:{port} --stop-timeout {orchestrator} " in TEXT
    pod = yaml.safe_load(next(block["text"] for block in blocks(PAGE, "yaml")))["spec"]
    assert pod["terminationGracePeriodSeconds"] == orchestrator
    (container,) = pod["containers"]
    for probe in ("livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == port
        assert f'@app.get("{asked["path"]}")' in MAIN


@contextmanager
def running(folder, **variables):
    """Run the container's command in a folder that holds its application alone."""
    (folder / "main.py").write_text(MAIN, encoding="utf-8")
    words = command()
    words[words.index("--port") + 1], words[words.index("--host") + 1] = str(free_port()), "127.0.0.1"
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    finally:
        process.kill()
        process.communicate()


def answers(url):
    try:
        return httpx.get(url).status_code
    except httpx.ConnectError:
        return None


@pytest.mark.thorough
def test_the_application_of_the_container_is_ready_and_stops(tmp_path):
    """It logs in with a password from a file, answers both probes, and ends by itself after a SIGTERM."""
    pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    (tmp_path / "carecloud_password").write_text(USER_PASSWORD, encoding="utf-8")
    with Sandbox(customers=1).running() as project:
        variables = {
            "CARECLOUD_PROJECT_URL": project,
            "CARECLOUD_EXTERNAL_APPLICATION_ID": USER_APPLICATION_ID,
            "CARECLOUD_LOGIN": USER_LOGIN,
            "CARECLOUD_PASSWORD_FILE": str(tmp_path / "carecloud_password"),
        }
        assert all(f"\n{name}=" in TEXT for name in variables)
        with running(tmp_path, **variables) as (process, url):
            wait_until(lambda: answers(f"{url}/health/live") or process.poll() is not None)
            assert (answers(f"{url}/health/live"), answers(f"{url}/health/ready")) == (200, 200)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
    assert process.returncode in {0, -signal.SIGTERM}, log  # uvicorn raises the signal again when it has ended
    assert "Application shutdown complete" in log
    assert "GET /users" in log or "carecloud_async" in log
