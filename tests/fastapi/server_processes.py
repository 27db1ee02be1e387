"""Real servers as processes, each with the application of a module next to this file."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from child_processes import free_port, listens, wait_until

HERE = Path(__file__).parent

#: The arguments after `python -m`. gunicorn makes the application before the fork, in the parent.
COMMANDS = {
    "uvicorn": "uvicorn {app} --factory --workers {workers} --port {port} --log-level warning",
    "gunicorn": "gunicorn {app}() --preload --worker-class asgi --workers {workers} --bind 127.0.0.1:{port}"
    " --no-control-socket --log-level warning",
    "hypercorn": "hypercorn {app}() --workers {workers} --bind 127.0.0.1:{port} --log-level warning",
    "granian": "granian {app} --factory --interface asgi --workers {workers} --port {port} --log-level warning",
}


@contextmanager
def serving(server, app, *, workers=1, **env):
    """Run a server with its workers; yields the process and its URL.

    Args:
        server: its name.
        app: `module:function`, which makes the application.
        workers: how many processes serve.
        **env: environment variables of the application.
    """
    pytest.importorskip(server, reason=f"{server} is not installed")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", *COMMANDS[server].format(app=app, workers=workers, port=port).split()],
        env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}", **env},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: listens(port) or process.poll() is not None)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
