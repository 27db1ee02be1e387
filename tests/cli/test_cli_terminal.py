"""A terminal after Ctrl-C or SIGTERM: questions end at the first one, and the terminal is as it was."""

import contextlib
import os
import signal
import subprocess

import pytest
from child_processes import wait_until
from cli_process import PROGRAM, heed_ctrl_c
from thorough import variants

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
termios = pytest.importorskip("termios", reason="this system has no pseudo-terminals")

IMPORT = ("import", "customers", "c.csv", "--match", "email", "--default", "customer_source_id=1", "--sandbox", "3")


class Terminal:
    """A terminal, and a command that runs on it."""

    def __init__(self, arguments):
        self.descriptor, slave = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], stdin=slave, stdout=slave, stderr=slave, preexec_fn=heed_ctrl_c
        )
        self.slave = slave
        os.set_blocking(self.descriptor, False)

    def shows(self, text):
        with contextlib.suppress(BlockingIOError):
            self.shown += os.read(self.descriptor, 4096)
        return text in self.shown

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)


@pytest.fixture
def terminal():
    """Start the command on a terminal."""
    opened = []

    def start(*arguments):
        opened.append(Terminal(arguments))
        return opened[-1]

    yield start
    for item in opened:
        item.process.kill()
        item.process.wait()
        os.close(item.slave)
        os.close(item.descriptor)


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("total", "customers"), signal.SIGINT),
        *variants((("list", "customers"), signal.SIGINT), (("export", "customers", "-o", "-"), signal.SIGTERM)),
    ],
)
def test_a_password_is_asked_for_until_ctrl_c(terminal, project, monkeypatch, arguments, number):
    """At the question for the password, one signal ends any command with 130, and the terminal echoes again."""
    monkeypatch.delenv("CARECLOUD_PASSWORD")
    shell = terminal(*arguments)
    wait_until(lambda: shell.shows(b"Password: ") and not shell.echoes)
    shell.process.send_signal(number)
    assert shell.process.wait(timeout=60) == 130
    assert shell.echoes
    assert shell.shows(b"carecloud: interrupted")


def test_an_import_is_confirmed_until_ctrl_c(terminal, tmp_path):
    """At the question whether to write, one Ctrl-C ends the import with 130."""
    (tmp_path / "c.csv").write_text("email,language_id\na@example.com,en\n")
    shell = terminal(*IMPORT)
    wait_until(lambda: shell.shows(b"Write all rows? [y/N]: "))
    shell.process.send_signal(signal.SIGINT)
    assert shell.process.wait(timeout=60) == 130
    assert shell.shows(b"carecloud: interrupted")


def test_a_bar_is_drawn_on_a_terminal(terminal, monkeypatch):
    """On a terminal the progress is redrawn in place and gone at the end; the summary stays."""
    monkeypatch.setenv("TERM", "xterm")
    shell = terminal("export", "customers", "-o", "c.jsonl", "--sandbox", "2000")
    wait_until(lambda: shell.shows(b"2,000 customers in"))
    assert shell.process.wait(timeout=60) == 0
    assert b"\x1b[" in shell.shown


def test_no_bar_beside_a_pipe(terminal, tmp_path):
    """Where records go to a pipe, a signal ends the process at once: no bar is drawn that would leave no cursor."""
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.DEVNULL):
        shell = terminal("export", "customers", "-o", "pipe", "--format", "jsonl", "--sandbox", "3")
        assert shell.process.wait(timeout=60) == 0
    assert shell.shows(b"3 customers in pipe")
    assert b"\x1b" not in shell.shown
