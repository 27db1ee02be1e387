"""A client for code that is not async: `carecloud_async.blocking`."""

import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import kit
import pytest
from forked_processes import forks, in_fork

from carecloud_async import ClientClosedError, ConfigurationError, NotFoundError, WrongEventLoopError
from carecloud_async.blocking import blocking
from carecloud_async.sandbox import Sandbox


@pytest.fixture
def sandbox():
    return Sandbox(customers=5, seed=1)


@pytest.fixture
def crm(sandbox):
    with blocking(partial(kit.connect, sandbox)) as crm:
        yield crm


def test_a_call_returns_what_the_client_returns(crm):
    """A function of the client gives its result; one that is async takes several steps."""

    async def names(client):
        return [customer.customer_id async for customer in client.customers.list()]

    ids = crm(names)
    assert len(ids) == 5
    assert crm(lambda client: client.customers.get(ids[0])).customer_id == ids[0]


def test_an_error_is_the_clients_error(crm):
    """A refused call raises what the client raises, and the next call works."""
    with pytest.raises(NotFoundError):
        crm(lambda client: client.customers.get("nobody"))
    assert crm(lambda client: client.customers.list().total()) == 5


def test_any_thread_may_call(crm):
    """Calls of several threads run side by side, each with the context of its thread."""
    name = contextvars.ContextVar("name", default="")

    def call(number):
        name.set(f"thread {number}")

        async def ask(client):
            return await client.customers.list().total(), name.get()

        return crm(ask)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(8))) == [(5, f"thread {number}") for number in range(8)]


def test_each_sale_of_a_program_that_runs_once_a_sale_is_sent(sandbox, tmp_path):
    """A program opens an outbox, puts one entry, flushes and ends; nothing waits for the program after it."""
    for sale in range(3):
        with (
            blocking(partial(kit.connect, sandbox)) as crm,
            crm.enter(lambda client: client.outbox(tmp_path / "till.db")) as outbox,
        ):
            customer = crm(lambda client: client.customers.list().first())
            crm(
                lambda client, sale=sale, outbox=outbox, customer=customer: outbox.put(
                    client.points.assign_points, customer_id=customer.customer_id, amount=1, reference=f"sale-{sale}"
                )
            )
            assert crm(lambda client, outbox=outbox: outbox.flush(timeout=30))
            history = crm(
                lambda client, customer=customer: client.point_history.list(customer_id=customer.customer_id).collect(
                    limit=100
                )
            )
            notes = " ".join(entry.point_operation_note or "" for entry in history)
            assert all(f"sale-{number}]" in notes for number in range(sale + 1))


@pytest.mark.parametrize(
    ("function", "fix"),
    [
        (lambda client: client.customers.list(), "await listing"),
        (lambda client: client.outbox("till.db"), r"crm\.enter"),
        (lambda client: 7, "returned int"),
    ],
)
def test_what_cannot_be_awaited_is_refused(crm, function, fix):
    """A function that returns a listing, a context manager or a value gets an error that names the fix."""
    with pytest.raises(TypeError, match=fix):
        crm(function)


def test_a_client_in_place_of_a_function_is_refused(sandbox):
    """A client that exists belongs to another event loop: the error asks for a function that makes one."""
    with pytest.raises(TypeError, match=r"blocking\(CareCloud\.from_env\)"), blocking(kit.connect(sandbox)):
        pass


def test_the_error_of_making_the_client_is_raised(sandbox):
    """A setting that cannot work is refused by the `with` statement."""
    with pytest.raises(ConfigurationError), blocking(partial(kit.connect, sandbox, timezone="Nowhere/Town")):
        pass


def test_a_call_within_a_call_is_refused(crm):
    """It would wait for itself; the error says to await."""

    async def nested(client):
        return crm(lambda client: client.customers.list().total())

    with pytest.raises(WrongEventLoopError, match="await"):
        crm(nested)


def test_a_call_after_the_block_is_refused(sandbox):
    """The client is closed then."""
    with blocking(partial(kit.connect, sandbox)) as crm:
        pass
    with pytest.raises(ClientClosedError, match="within it"):
        crm(lambda client: client.customers.list().total())


def test_a_program_that_exits_in_a_call_exits(sandbox):
    """`sys.exit` within a call ends the block as it ends any block."""

    async def leave(client):
        sys.exit(3)

    with pytest.raises(SystemExit), blocking(partial(kit.connect, sandbox)) as crm:
        crm(leave)


@forks
def test_a_forked_child_is_told_and_can_leave(sandbox):
    """A child has no thread of the event loop: its calls are refused, and leaving the block does not wait for ever."""
    block = blocking(partial(kit.connect, sandbox))
    crm = block.__enter__()
    entered = crm.enter(lambda client: contextlib.nullcontext())
    entered.__enter__()

    def leave():
        with pytest.raises(WrongEventLoopError):
            crm(lambda client: client.ping())
        entered.__exit__(None, None, None)
        block.__exit__(None, None, None)
        return "left"

    assert in_fork(leave) == "left"
    assert crm(lambda client: client.customers.list().total()) == 5
    entered.__exit__(None, None, None)
    block.__exit__(None, None, None)


PROGRAM = """
    import sys, anyio
    from carecloud_async import CareCloud
    from carecloud_async.blocking import blocking
    from carecloud_async.sandbox import Sandbox

    sandbox = Sandbox(customers=5, seed=1)

    def connect():
        return CareCloud("sandbox.crmcarecloud.com", auth=sandbox.credentials(), transport=sandbox.transport())

    async def forever(client):
        try:
            print("began", flush=True)
            await anyio.sleep_forever()
        finally:
            print("ended", flush=True)

    with blocking(connect) as crm:
        try:
            crm(forever)
        except KeyboardInterrupt:
            print("interrupted", crm(lambda client: client.customers.list().total()), flush=True)
        crm(forever)
"""


def heed_ctrl_c():
    """Let a new process heed Ctrl-C, which a shell's job in the background ignores."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name == "nt", reason="this system has no SIGINT for one process")
def test_ctrl_c_ends_the_call(tmp_path):
    """The call is cancelled and has ended when KeyboardInterrupt is raised; a program that catches it goes on."""
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    command = [sys.executable, script]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "preexec_fn": heed_ctrl_c}
    with subprocess.Popen(command, **options) as process:
        assert process.stdout.readline() == "began\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ended\n"
        assert process.stdout.readline() == "interrupted 5\n"
        assert process.stdout.readline() == "began\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ended\n"
        assert process.wait(30) == -signal.SIGINT
