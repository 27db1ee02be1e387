"""`carecloud outbox`: the person at the help desk looks after a till's outbox."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from itertools import cycle

import anyio
import httpx
import pytest
from every import every
from thorough import variants

from carecloud_async import CareCloud
from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture
def till(project, monkeypatch):
    """An outbox with points that were refused, and points that wait."""

    async def put():
        async with CareCloud.from_env() as client, client.outbox("till.db") as outbox:
            points = client.points.assign_points
            for reference in ("B1", "B2"):
                await outbox.put(points, customer_id="nobody", amount=5.0, partner_id="p", reference=reference)
            project.faults.add("POST /points/actions/assign-points", status=400, times=2)
            await outbox.flush()
            assert outbox.failed == 2

    anyio.run(put)


@pytest.fixture
def put_waiting(project):
    """Put this many entries of points into an outbox, which cannot send them since the server is away."""

    def call(bills):
        async def put():
            async with CareCloud.from_env() as client, client.outbox("till.db") as outbox:
                for number, item in zip(bills, cycle(project.customers), strict=False):
                    points = {"customer_id": item["customer_id"], "amount": 5.0, "reference": f"B{number}"}
                    await outbox.put(client.points.assign_points, **points)

        away = project.faults.add("GET /point-history", status=503, times=None)
        anyio.run(put)
        project.faults.remove(away)

    return call


@pytest.fixture
def waiting(put_waiting):
    """An outbox with points of five customers that wait."""
    put_waiting(range(5))


def test_the_help_desk_retries_and_drops(carecloud, till):
    """Failed entries are listed with numbers and reasons, and no value; one is dropped, one retried."""
    listed = carecloud("outbox", "till.db")
    assert listed.code == 0, listed.err
    lines = [line.split("\t") for line in listed.out.splitlines()]
    assert [(line[0], line[2], line[3]) for line in lines] == [
        ("1", "points.assign_points B1", "refused"),
        ("2", "points.assign_points B2", "refused"),
    ]
    assert "nobody" not in listed.out
    assert listed.line == "0 waiting, 2 failed"
    assert carecloud("outbox", "till.db", "drop", 1).err.endswith("0 waiting, 1 failed\n")
    retried = carecloud("outbox", "till.db", "retry", "--all")
    assert "1 failed entry waits again\n" in retried.err
    assert retried.err.endswith("1 waiting, 0 failed\n")
    waiting = carecloud("outbox", "till.db", "drop", 2)
    assert (waiting.code, waiting.line) == (2, "no failed entry has the number 2: see carecloud outbox till.db")
    assert carecloud("outbox", "till.db", "list").out.endswith("\tpoints.assign_points B2\twaiting\tnot sent yet\n")


def test_what_waits_is_sent(carecloud, till, project):
    """`send` sends what waits, says what is left, and its exit code tells whether everything went out."""
    carecloud("outbox", "till.db", "retry", 2)
    sent = carecloud("outbox", "till.db", "send")
    assert sent.code == 1
    assert sent.line == "0 sent, 0 waiting, 2 failed"
    carecloud("outbox", "till.db", "drop", "--all")
    assert carecloud("outbox", "till.db", "send").code == 0


@posix
def test_the_list_says_why_entries_wait(start, carecloud, waiting, project):
    """After a lost answer the list says when an entry is sent again; what was refused for a right was not sent yet."""
    project.faults.add("POST /points/actions/assign-points", cut="after")
    project.faults.add("POST /points/actions/assign-points", status=403, times=None)
    process = start("outbox", "till.db", "send")
    warned = process.stderr.readline()
    assert "the outbox waits with points.assign_points: 403 on POST /points/actions/assign-points" in warned
    assert warned.endswith(": the API user lacks the right; ask the administrator\n")
    process.send_signal(signal.SIGINT)
    assert "0 sent, 5 waiting, 0 failed; it waits: 403 on " in process.communicate(timeout=60)[1]
    listed = carecloud("outbox", "till.db").out.splitlines()
    assert len(listed) == 5
    # One at least: what was on its way at the end counts as lost too, if its answer was not noted.
    lost = [line for line in listed if "\twaiting\tits answer was lost; " in line]
    assert lost
    known = r"; (sent again from 20.* on unless it is there|looked up when a program opens the outbox)$"
    assert all(re.search(known, line) for line in lost)
    assert all(line.endswith("\twaiting\tnot sent yet") for line in listed if line not in lost)


def test_a_long_list_says_how_many_more_wait(carecloud, put_waiting):
    """A thousand entries are listed, each with the one before it; of two more, the command says that they wait too."""
    put_waiting(range(1000))
    whole = carecloud("outbox", "till.db")
    numbers = [str(number) for number in range(1, 1001)]
    assert [line.partition("\t")[0] for line in whole.out.splitlines()] == numbers
    assert whole.err == "carecloud: 1,000 waiting, 0 failed\n"
    assert whole.out.splitlines()[250].endswith("\twaiting\tafter 1")  # of the same customer
    put_waiting(range(1000, 1002))
    cut = carecloud("outbox", "till.db")
    assert [line.partition("\t")[0] for line in cut.out.splitlines()] == numbers
    assert cut.err == "carecloud: … and 2 more that wait\ncarecloud: 1,002 waiting, 0 failed\n"


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, *variants(signal.SIGINT)])
def test_an_interrupted_send_says_how_far_it_came(interrupted, carecloud, waiting, project, number):
    """Ctrl-C and SIGTERM end `send` with 130 and one line; sent again, each entry is at the server once."""
    project.latency = 0.3
    done = interrupted("outbox", "till.db", "send", at="POST /points/actions/assign-points", times=2, number=number)
    assert done.out == ""
    said = re.fullmatch(
        r"carecloud: interrupted: (\d) sent, (\d) waiting, 0 failed; nothing is lost: "
        r"carecloud outbox till\.db send goes on\n",
        done.err,
    )
    assert said, done.err
    sent, left = map(int, said.groups())
    assert (sent >= 2, sent + left) == (True, 5)
    project.latency = 0
    again = carecloud("outbox", "till.db", "send")
    assert (again.code, again.line) == (0, f"{left} sent, 0 waiting, 0 failed")
    notes = [project.records("point-history").record(record_id) for record_id in project.records("point-history").ids()]
    assert sorted(re.findall(r"\[ref: (B\d)\]", str(notes))) == ["B0", "B1", "B2", "B3", "B4"]


@every(
    "words, message",
    [
        (["drop"], "drop takes the numbers of failed entries"),
        (["retry", "1", "--all"], "retry takes the numbers"),
        (["list", "1"], "list takes no numbers"),
        (["retry", "1", "999"], "no failed entry has the number 999"),
        (["drop", "998", "999"], "no failed entry has the number 998 or 999"),
    ],
)
def test_wrong_usage_is_refused(carecloud, till, words, message):
    """What would touch other entries than those meant is refused."""
    refused = carecloud("outbox", "till.db", *words)
    assert refused.code == 2
    assert message in refused.line


def test_a_folder_without_the_right_to_write(carecloud, waiting, tmp_path):
    """An outbox in a folder that is not writable is refused, with what to do."""
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write everywhere")
    refused = carecloud("outbox", "till.db")
    assert refused.code == 1
    assert refused.line == "till.db: no permission to write there: choose another place, or make this one writable"


def test_a_file_that_is_not_there_is_not_made(carecloud, tmp_path):
    """A wrong name is an error, and makes no file."""
    assert carecloud("outbox", "tull.db").code == 1
    assert not (tmp_path / "tull.db").exists()


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
