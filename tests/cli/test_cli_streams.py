"""Stdout, pipes and signals: the real command in a process of its own."""

import json
import os
import signal
import subprocess
import sys

import pytest
from child_processes import wait_until
from cli_process import IGNORING_CTRL_C, PROGRAM
from thorough import variants

from carecloud_async.cli.console import sigterm_as_ctrl_c

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals and pipes")


def test_records_on_stdout(carecloud, tmp_path):
    """`-o -` prints JSON Lines alone on stdout; the summary stands on stderr, and no file is made."""
    done = carecloud("export", "customers", "-o", "-", "--sandbox", 12)
    assert done.code == 0
    assert len({json.loads(line)["customer_id"] for line in done.out.splitlines()}) == 12
    assert done.line.startswith("12 customers in stdout (")
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize(
    "command", [*variants((("export", "customers", "-o", "-"),)), ("list", "customers", "--count", 2000)]
)
def test_a_reader_that_leaves_early(start, command):
    """`| head` ends the command quietly, with code 0."""
    process = start(*command, "--sandbox", 2000)
    assert json.loads(process.stdout.readline())
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    # A busy machine gives the command time to say how far it is.
    said = [line for line in err.splitlines() if " a second" not in line]
    assert (process.returncode, said) == (0, [])


@posix
@pytest.mark.parametrize(
    ("number", "command", "line"),
    [
        (signal.SIGINT, ("export", "customers", "-o", "-"), "carecloud: interrupted: the output is not complete\n"),
        *variants((signal.SIGTERM, ("list", "customers", "--count", 2000), "carecloud: interrupted\n")),
    ],
)
def test_a_signal_while_no_process_reads(start, number, command, line):
    """A pipe that is full holds up neither Ctrl-C nor SIGTERM; no `--resume` is promised."""
    process = start(*command, "--sandbox", 2000)
    assert process.stdout.read(1) == "{"  # it writes, and nothing more is read
    process.send_signal(number)
    assert process.wait(timeout=60) == 130
    assert process.stderr.read().endswith(line)  # a slow machine may print progress before


@posix
def test_sigterm_is_ctrl_c(start, project, carecloud, tmp_path):
    """SIGTERM keeps what was fetched and says so, also where Ctrl-C is ignored; `--resume` goes on."""
    project.latency = 0.3
    command = ("export", "customers", "-o", tmp_path / "c.jsonl", "--count", 10, "--concurrency", 1)
    process = start(*command, program=IGNORING_CTRL_C)
    wait_until(lambda: project.count("GET /customers") >= 4)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert (
        err == f"carecloud: interrupted: what was fetched for {tmp_path}/c.jsonl is kept; "
        "the same command with --resume goes on\n"
    )
    assert not (tmp_path / "c.jsonl").exists()
    project.latency = 0
    before = project.count("GET /customers")
    done = carecloud(*command, "--resume")
    assert done.code == 0, done.err
    assert len(set((tmp_path / "c.jsonl").read_bytes().splitlines())) == 250
    assert project.count("GET /customers") - before < 27


#: Waits for ever where the command begins to import what it needs.
STARTING = """
import sys, time

class Wait:
    def find_spec(self, name, path=None, target=None):
        if name == "carecloud_async.cli.app":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Wait())
from carecloud_async.cli import main
main()
"""


@posix
def test_sigterm_while_the_command_starts(start):
    """SIGTERM while modules are imported ends the command as later: with 130 and one line."""
    process = start("--version", program=[sys.executable, "-c", STARTING])
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGTERM)
    try:
        _, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:  # Python ignores an interrupt that falls into a destructor
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "carecloud: interrupted\n")


MAYBE = "interrupted: if it was sent, it may have been carried out: look before you repeat it"


@posix
@pytest.mark.parametrize(
    ("command", "at", "number", "line"),
    [
        ("total customers", "POST /users/actions/login", signal.SIGINT, "interrupted"),
        ("request POST events", "POST /events", signal.SIGTERM, MAYBE),
    ],
)
def test_a_command_is_interrupted(interrupted, project, command, at, number, line):
    """A command ends with 130 and says that it was interrupted; of a write that awaits its answer, what to do."""
    project.faults.add(at, delay=60)
    done = interrupted(*command.split(), at=at, number=number)
    assert (done.out, done.line) == ("", line)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk(carecloud, monkeypatch):
    """Records that cannot be written are a failure with code 1."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        refused = carecloud("list", "customers", "--sandbox", 1)
    assert (refused.code, refused.line) == (1, "No space left on device")


@pytest.mark.thorough
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_log_that_cannot_be_written():
    """A log on a full disk changes no exit code."""
    with open("/dev/full", "w") as full:
        process = subprocess.Popen([*PROGRAM, "export", "customers", "-o", "c.jsonl", "--sandbox", "1"], stderr=full)
        assert process.wait(timeout=60) == 0


#: Sends itself both signals while the process ends.
ENDING = """
import atexit, os, signal
atexit.register(lambda: [os.kill(os.getpid(), number) for number in (signal.SIGTERM, signal.SIGINT)])
from carecloud_async.cli import main
main()
"""


@posix
@pytest.mark.parametrize("command", [*variants("export"), "changes"])
def test_a_signal_while_a_command_exits_is_ignored(start, project, command):
    """The state has moved on: with another exit code than 0 a scheduler would repeat it and replace the file."""
    process = start(
        command, "customers", "-o", "c.jsonl", "--state", "s", "--count", 100, program=[sys.executable, "-c", ENDING]
    )
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (0, False), err


@posix
def test_sigterm_belongs_to_others_afterwards():
    """Where the command runs inside a program, that program's own handler is back when it ends."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
