"""`carecloud outbox FILE serve`, as a process that a till sends to."""

import re
import signal
import socket
import stat
import subprocess
import sys

import httpx
import pytest

from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL


@pytest.fixture
def serve(tmp_path):
    """Start the command against a sandbox; give the process and a client with the secret of its file."""
    started = []

    def serve(*options):
        command = [sys.executable, "-m", "carecloud_async.cli", "outbox", str(tmp_path / "till.db"), "serve"]
        command += ["--port", "0", "--token-file", str(tmp_path / "secret"), *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.append(process)
        for line in process.stderr:
            if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                secret = (tmp_path / "secret").read_text(encoding="utf-8-sig").strip()
                http = httpx.Client(base_url=address[0], headers={"Authorization": f"Bearer {secret}"}, timeout=30)
                return process, http
        raise AssertionError(process.wait())

    yield serve
    for process in started:
        process.kill()
        process.communicate()


def test_a_till_survives_a_kill(project, serve, tmp_path):
    """A sale that was accepted is stored once although the program is killed; a request that stalls holds up no end."""
    process, http = serve()
    with http:
        customer = http.get("/customers", params={"typed": FIRST_CUSTOMER_EMAIL}).json()[0]["customer_id"]
        sale = {"customer_id": customer, "amount": 5}
        key = {"Idempotency-Key": "sale-1"}
        assert http.post("/outbox/points.assign_points", json=sale, headers=key).status_code == 202
    process.kill()
    process.wait()
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    secret = tmp_path / "secret"
    secret.write_text("\ufeff" + secret.read_text(), encoding="utf-8")  # as editors of Windows write it
    process, http = serve()
    with http, socket.socket() as stalled:
        of_java = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAAB"}
        assert http.post("/outbox/points.assign_points", json=sale, headers=key | of_java).status_code == 202
        stalled.connect((http.base_url.host, http.base_url.port))
        stalled.sendall(b"POST /outbox/points.assign_points HTTP/1.1\r\nHost: till\r\nContent-Length: 9\r\n")
        stalled.sendall(f"Authorization: {http.headers['Authorization']}\r\n\r\n{{".encode())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130


@pytest.mark.parametrize("secret", ["", "short", "two words that are long enough", "line of a secret 1\nline 2"])
def test_a_secret_that_no_till_can_send_is_refused(carecloud, tmp_path, secret):
    """A secret that is short, or has spaces, is a mistake of usage."""
    (tmp_path / "secret").write_text(secret)
    refused = carecloud("outbox", "till.db", "serve", "--sandbox", 1, "--token-file", "secret")
    assert (refused.code, "without spaces" in refused.line) == (2, True)
