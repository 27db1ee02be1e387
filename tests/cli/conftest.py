"""What the tests of the command share: the command in this process and in one of its own, and a project to ask."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from attrs import frozen
from lying import lie

pytest.importorskip("typer", reason="the cli extra is not installed")
pytest.importorskip("starlette", reason="the sandbox extra is not installed")

from cli_process import PROGRAM, heed_ctrl_c

from carecloud_async.cli.app import run
from carecloud_async.cli.console import sigterm_as_ctrl_c
from carecloud_async.sandbox import Sandbox


@frozen
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def line(self):
        """The one line on stderr, without the command's name."""
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("carecloud: ")
        assert "Traceback" not in self.err + self.out
        return self.err.removeprefix("carecloud: ").strip()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path, tmp_path_factory):
    """Nothing is set, no token is kept, and the current folder is an empty one."""
    for name in [name for name in os.environ if name.startswith("CARECLOUD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "120")
    for kind, names in {"state": ("XDG_STATE_HOME", "LOCALAPPDATA"), "config": ("XDG_CONFIG_HOME", "APPDATA")}.items():
        folder = tmp_path_factory.mktemp(kind)
        for name in names:  # on Windows the second one counts
            monkeypatch.setenv(name, str(folder))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def carecloud(capfd, monkeypatch):
    """Run the command in this process: `carecloud("total", "customers")`."""

    def call(*arguments, stdin=None):
        capfd.readouterr()
        with open(os.devnull) as nothing:
            monkeypatch.setattr("sys.stdin", stdin or nothing)
            code = run([str(argument) for argument in arguments])
        sys.stdout.flush()
        printed = capfd.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture
def start():
    """Start the command as a process of its own, as a shell does."""
    started = []

    def call(*arguments, program=PROGRAM, **options):
        process = subprocess.Popen(
            [*program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A runner in the background ignores Ctrl-C, and its children would inherit that.
            preexec_fn=None if os.name == "nt" else heed_ctrl_c,
            **options,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def project(monkeypatch):
    """A sandbox on a socket, and the settings that reach it."""
    sandbox = Sandbox(customers=250)
    lie(sandbox)  # nothing yet
    with sandbox.running() as url:
        credentials = sandbox.credentials()
        monkeypatch.setenv("CARECLOUD_PROJECT_URL", url)
        monkeypatch.setenv("CARECLOUD_EXTERNAL_APPLICATION_ID", credentials.external_application_id)
        monkeypatch.setenv("CARECLOUD_LOGIN", credentials.login)
        monkeypatch.setenv("CARECLOUD_PASSWORD", credentials.password)
        yield sandbox


@pytest.fixture
def interrupted(carecloud, project):
    """Run the command in this process, and send it a signal at the given request for an operation."""

    def call(*arguments, at, times=1, number=signal.SIGTERM):
        def interrupt(request):
            if request.name == at and project.count(at) == times:
                os.kill(os.getpid(), number)

        project.on_request = interrupt
        with sigterm_as_ctrl_c():
            done = carecloud(*arguments)
        project.on_request = None
        assert done.code == 130
        return done

    return call
