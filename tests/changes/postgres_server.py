"""A real PostgreSQL for the recipe that needs one."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest


def _find(name):
    return shutil.which(name) or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))), None)


@contextmanager
def serve_postgres():
    """Run a PostgreSQL on a unix socket; yield a function that runs a script of `psql` and returns what it prints."""
    programs = {name: _find(name) for name in ("initdb", "pg_ctl", "psql")}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        pytest.skip(f"no PostgreSQL on this machine: {', '.join(missing)}")  # CI has none, and may skip this
    user = "postgres" if os.getuid() == 0 else None  # PostgreSQL does not run as root
    # Not in pytest's folder: the path of a socket is short, and another user cannot enter it.
    with tempfile.TemporaryDirectory(prefix="pg-") as data:
        if user is not None:
            shutil.chown(data, user)

        def run(*command, cwd=data, user=user):
            done = subprocess.run(
                [str(item) for item in command], cwd=cwd, user=user, capture_output=True, encoding="utf-8", check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        def psql(script, *, cwd):
            path = cwd / "script.sql"
            path.write_text(script, encoding="utf-8")
            options = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", data, "-U", "tests", "-d", "postgres")
            return run(programs["psql"], *options, "-f", path, cwd=cwd, user=None)

        run(programs["initdb"], "-D", data, "-U", "tests", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories={data} -c fsync=off"
        run(programs["pg_ctl"], "-D", data, "-o", options, "-l", f"{data}/log", "-w", "start")
        try:
            yield psql
        finally:
            run(programs["pg_ctl"], "-D", data, "-m", "immediate", "-w", "stop")
