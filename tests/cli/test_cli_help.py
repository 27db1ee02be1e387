"""The help at 80 columns, completion in the shell, and options that several commands share."""

import os
import subprocess
import sys

import pytest
from cli_process import PROGRAM
from every import every

from carecloud_async.cli.app import run

COMMANDS = [
    "",
    "export",
    "import",
    "changes",
    "list",
    "get",
    "total",
    "dossier",
    "request",
    "check",
    "login",
    "sandbox",
]
CONNECTION = {
    "--sandbox",
    "--project-url",
    "--login",
    "--external-application-id",
    "--timezone",
    "--language",
    "--allow-http",
}


@every("command", COMMANDS)
def test_help_at_eighty_columns(carecloud, monkeypatch, command):
    """No word is cut, no line is wider, our flags show no type, and the options of the connection are everywhere."""
    monkeypatch.setenv("COLUMNS", "80")
    done = carecloud(*filter(None, [command]), "--help")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 80
    typers_own = ("--help", "--install-completion", "--show-completion")
    assert all(any(flag in line for flag in typers_own) for line in done.out.splitlines() if "<bool>" in line)
    assert "…" not in done.out
    assert "..." not in done.out.replace("COMMAND [ARGS]...", "")
    assert f"carecloud {command}".strip() in done.out
    if command not in {"", "sandbox"}:  # every command that uses a project takes the connection
        assert [option for option in CONNECTION if option not in done.out] == []


STARTS = """
import sys
from carecloud_async.cli.app import run

def loaded():
    return {name for name in sys.modules if name.startswith("carecloud_async.")}

run(["--help"])
help_of_all = loaded()
run(["login", "--help"])
print(*help_of_all, "of login:", *loaded(), file=sys.stderr)
"""


def test_a_start_imports_its_own_command_alone():
    """The help of all commands comes without the client, and a command without the modules of the others."""
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, check=True, timeout=240)
    of_all, of_login = (set(names.split()) for names in done.stderr.split("of login:"))
    others = {f"carecloud_async.{name}" for name in ("cli.dossier", "cli.export", "workflows", "outbox")}
    assert of_all & (others | {"carecloud_async.client"}) == set()
    assert of_login & others == set()
    assert "carecloud_async.cli.project" in of_login


def asked(*words):
    """The environment in which the shell asks what may follow."""
    return {
        "_CARECLOUD_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["carecloud", *words]),
        "COMP_CWORD": str(len(words)),
    }


@pytest.fixture
def complete(capfd, monkeypatch):
    """Return what the shell is offered for the last word."""

    def offer(*words):
        with monkeypatch.context() as patch:
            for name, value in asked(*words).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as caught:
                run([])
        done = capfd.readouterr()
        assert (caught.value.code, done.err) == (0, "")
        return done.out.split()

    return offer


@pytest.mark.thorough
def test_the_command_completes():
    """The command itself, as the shell starts it, prints the completions and nothing else."""
    environment = os.environ | asked("get", "wallet.points_o")
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=True, timeout=240)
    assert (done.stdout.split(), done.stderr) == (["wallet.points_overview"], "")


def test_completion_of_resources(complete):
    """Names of lists, of records and of paths are completed, each in its place."""
    assert complete("export", "booking_t") == [
        "booking_ticket_properties",
        "booking_tickets",
        "booking_tickets.time_slots",
    ]
    assert complete("get", "wallet.points_o") == ["wallet.points_overview"]
    assert "customers/{customer_id}" in complete("request", "GET", "custo")


def test_completion_of_filters(complete):
    """The filters of the list that is named before are completed, with their `=`."""
    assert complete("total", "customers", "--filter", "last_n") == ["last_name="]
    assert complete("list", "nothing", "--filter", "last_n") == []
