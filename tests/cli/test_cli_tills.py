"""Tills in curl, Java and PHP, as docs/tills.md shows them, while network, server, program and machine fail."""

import asyncio
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from threading import Event

import kit
import pytest
from child_processes import free_port
from clocks import FastClock

from carecloud_async import CareCloud
from carecloud_async.blocking import blocking
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

pytestmark = pytest.mark.thorough

PAGE = Path(__file__).parents[2] / "docs/tills.md"
COMMAND = [sys.executable, "-m", "carecloud_async.cli", "outbox", "till.db"]
FAULTS = ["power", "answer", "program", "network", "answer", "power"]
CUSTOMER = "8ea2591121e636086a4a9c0992"


class Machine:
    """A till's machine: a disk, whose files are as they were synced last after a power cut, and the program."""

    def __init__(self, folder, env):
        self.disk, self._left, self.port = folder / "disk", folder / "left", free_port()
        self.disk.mkdir()
        self._left.mkdir()
        library = folder / "power_cut.so"
        source = Path(__file__).with_name("power_cut.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.env = {**env, "XDG_STATE_HOME": str(self.disk / "state")}
        watch = {"POWER_CUT_DISK": str(self.disk), "POWER_CUT_LEFT": str(self._left), "LD_PRELOAD": str(library)}
        self._env = {**self.env, **watch}
        self.program = None

    def start(self):
        """Start the program; it makes its files where they are lost."""
        command = [*COMMAND, "serve", "--settle", "1", "--port", str(self.port), "--token-file", "till.secret"]
        self.program = subprocess.Popen(command, cwd=self.disk, env=self._env, stderr=subprocess.DEVNULL)
        while self._is_closed():
            assert self.program.poll() is None
            time.sleep(0.05)

    def _is_closed(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port))

    def kill(self):
        self.program.kill()
        self.program.wait()

    def cut_power(self):
        """Kill the program, and take from the disk what was not synced."""
        self.kill()
        for path in self.disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for kept in self._left.iterdir():
            if ".part" not in kept.name:
                path = self.disk / kept.name.replace("%", "/")
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(kept, path)
            else:
                kept.unlink()


def of_page(language, *, port, customer):
    """The sample of the page in a language, for this server and customer."""
    sample = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[-1]
    return sample.replace("8137", str(port)).replace(CUSTOMER, customer)


def curl_till(folder, **where):
    """A till in curl: the command of the page, which fails at another answer than 202."""
    script = folder / "till.sh"
    script.write_text(of_page("bash", **where).replace("curl ", "curl --fail -m 10 ").replace("receipt-2231", "$1"))
    return ["bash", script]


def java_till(folder, **where):
    """A till in Java: the page's program."""
    text = of_page("java", **where).replace('"receipt-2231"', "arguments[0]")
    (folder / "Till.java").write_text(text)
    subprocess.run(["javac", "-Xlint:all", "-Werror", "Till.java"], cwd=folder, check=True)
    return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", folder, "Till"]


def php_till(folder, **where):
    """A till in PHP: the page's program."""
    text = of_page("php", **where).replace("'Idempotency-Key: receipt-2231'", '"Idempotency-Key: $argv[1]"')
    (folder / "till.php").write_text(text)
    return ["php", folder / "till.php"]


async def send(machine):
    """Send what the machine has, as `carecloud outbox till.db send` does, whose hours are half a minute here."""
    url = machine.env["CARECLOUD_PROJECT_URL"]
    async with (
        CareCloud(url, auth=Sandbox().credentials(), clock=FastClock()) as client,
        client.outbox(machine.disk / "till.db", settle=1) as outbox,
    ):
        assert await outbox.flush(timeout=2 * 3600), outbox.problem


@pytest.mark.parametrize(("program", "till"), [("curl", curl_till), ("javac", java_till), ("php", php_till)])
def test_each_sale_happens_once(tmp_path, monkeypatch, program, till):
    """The network goes away, answers are lost, the program is killed, the power is cut: each sale is made once."""
    for needed in (program, "cc"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is no program of this machine")
    if program == "php" and subprocess.run(["php", "-r", "exit((int) !function_exists('curl_init'));"]).returncode:
        pytest.skip("this PHP has no curl")
    chance, sandbox, server = random.Random(1), Sandbox(customers=3, seed=1), free_port()
    with blocking(partial(kit.connect, sandbox)) as crm:
        customer = crm(lambda client: client.customers.list().first()).customer_id
    user = {"EXTERNAL_APPLICATION_ID": USER_APPLICATION_ID, "LOGIN": USER_LOGIN, "PASSWORD": USER_PASSWORD}
    user = {f"CARECLOUD_{name}": value for name, value in user.items()}
    machine = Machine(tmp_path, {**os.environ, **user, "CARECLOUD_PROJECT_URL": f"http://127.0.0.1:{server}"})
    command = till(tmp_path, port=machine.port, customer=customer)
    numbers, over = count(), Event()

    def sell():
        """Sell until it is over; a sale is tried until it is accepted."""
        sold = []
        while not over.is_set():
            sold.append(f"receipt-{next(numbers)}")
            while subprocess.run([*command, sold[-1]], cwd=machine.disk, capture_output=True, check=False).returncode:
                assert machine.program is not None
        return sold

    def fail(what):
        """Let something fail, and mend it."""
        match what:
            case "network":
                network.close()
                time.sleep(1)
                network.enter_context(sandbox.running(port=server))
            case "answer":
                lost = chance.choice([{"cut": "after"}, {"cut": "before"}, {"status": 502}])
                sandbox.faults.add("POST /points/actions/assign-points", **lost)
            case "program":
                machine.kill()
                machine.start()
            case "power":
                machine.cut_power()
                machine.start()

    with ExitStack() as network, ThreadPoolExecutor(2) as tills:
        network.enter_context(sandbox.running(port=server))
        machine.start()
        try:
            sales = [tills.submit(sell), tills.submit(sell)]
            for what in FAULTS:
                time.sleep(chance.random())
                fail(what)
            over.set()
            sold = [receipt for sale in sales for receipt in sale.result()]
        finally:
            over.set()
            machine.kill()
            machine.program = None
        monkeypatch.setenv("XDG_STATE_HOME", machine.env["XDG_STATE_HOME"])
        sandbox.faults.clear()
        asyncio.run(send(machine))
    assert asyncio.run(kit.references(sandbox)) == Counter(sold)
