"""The examples' servers: uvicorn in a process of its own."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from child_processes import free_port, listens

from carecloud_async.sandbox import CUSTOMER_APPLICATION_ID

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"


@contextmanager
def uvicorn(*arguments, folder, env):
    """Serve with uvicorn's own command line."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", *arguments, "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not listens(port):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "uvicorn did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors


@contextmanager
def portal_of_its_own(sandbox_url):
    """Serve the portal over a sandbox."""
    env = {
        "CARECLOUD_PROJECT_URL": sandbox_url,
        "CARECLOUD_CUSTOMER_APPLICATION_ID": CUSTOMER_APPLICATION_ID,
        "PORTAL_SECRET": "not so secret",
        "PORTAL_COOKIE": "insecure",
    }
    with uvicorn("app:create_app", "--factory", folder=EXAMPLES / "portal", env=env) as url:
        yield url
