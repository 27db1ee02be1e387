"""`carecloud outbox FILE serve`, as a process that a till sends to."""

import re
import signal
import stat
import subprocess
import sys

import httpx
import pytest

from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Start the command against a sandbox; give the process and a client with the secret of its file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    started = []

    def serve(*options):
        command = [sys.executable, "-m", "carecloud_async.cli", "outbox", str(tmp_path / "till.db"), "serve"]
        command += ["--port", "0", "--token-file", str(tmp_path / "secret"), *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(process)
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                secret = (tmp_path / "secret").read_text().strip()
                http = httpx.Client(base_url=found[0], headers={"Authorization": f"Bearer {secret}"}, timeout=30)
                return process, http
        raise AssertionError(process.wait())

    yield serve
    for process in started:
        process.kill()
        process.communicate()


def test_a_till_survives_a_kill(project, serve, tmp_path):
    """A sale that was accepted is sent once although the program is killed and the till repeats its request."""
    process, http = serve()
    with http:
        customer = http.get("/customers", params={"typed": FIRST_CUSTOMER_EMAIL}).json()[0]["customer_id"]
        sale = {"customer_id": customer, "amount": 5}
        key = {"Idempotency-Key": "sale-1"}
        assert http.post("/outbox/points.assign_points", json=sale, headers=key).status_code == 202
    process.kill()
    process.wait()
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    process, http = serve()
    with http:
        assert http.post("/outbox/points.assign_points", json=sale, headers=key).status_code == 202
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
