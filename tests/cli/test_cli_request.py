"""`carecloud request`."""

import io
import json
from types import SimpleNamespace

from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID


def test_any_call_prints_json(carecloud):
    """What is under `data` is printed, with parameters sent by what they take."""
    done = carecloud("request", "GET", "customers", "--param", "count=2", "--param", "offset=1", "--sandbox", 5)
    assert (done.code, done.err) == (0, "")
    answer = json.loads(done.out)
    assert (len(answer["customers"]), answer["total_items"]) == (2, 5)


def test_a_list_of_values_in_a_query(carecloud, project):
    """A parameter that is repeated goes out as a list; one that is always a list, too."""
    ids = [project.customers.id_at(0), project.customers.id_at(3)]
    done = carecloud(
        "request", "get", "customers", *(word for record_id in ids for word in ("--param", f"customer_ids={record_id}"))
    )
    assert json.loads(done.out)["total_items"] == 2
    assert (
        json.loads(carecloud("request", "GET", "/customers", "--param", f"customer_ids={ids[0]}").out)["total_items"]
        == 1
    )


def test_ids_in_the_path(carecloud):
    """A path with an id in it is accepted."""
    done = carecloud("request", "GET", f"customers/{FIRST_CUSTOMER_ID}", "--sandbox", 3)
    assert json.loads(done.out)["customer_id"] == FIRST_CUSTOMER_ID


def test_a_body_keeps_its_digits(carecloud, project, tmp_path):
    """Numbers of `--body` are sent with the digits of the file."""
    content = '{"a":1234567890123456.78,"b":12.10,"c":12345678901234567890}'
    (tmp_path / "body.json").write_text(content)
    carecloud("request", "POST", "events", "--body", "body.json")
    assert project.requests[-1].body.decode() == content


def test_a_body_from_a_file_and_from_stdin(carecloud, project, tmp_path):
    """`--body FILE` and `--body -` send the JSON, and the answer's data is printed."""
    person = {"last_name": "Nováková", "email": "n@example.com", "language_id": "cs"}
    source = {"customer_source_id": CUSTOMER_SOURCE_IDS[0], "external_id": "17"}
    content = {"customer": {"personal_information": person}, "customer_source": source, "autologin": False}
    body = json.dumps(content, ensure_ascii=False)
    (tmp_path / "body.json").write_text(body, encoding="utf-8")
    made = carecloud("request", "POST", "customers", "--body", "body.json")
    assert made.code == 0, made.err
    customer_id = json.loads(made.out)["customer_id"]
    assert project.customers.get(customer_id)["personal_information"]["last_name"] == "Nováková"
    body = body.replace("n@example.com", "m@example.com").replace('"17"', '"18"')
    stdin = SimpleNamespace(buffer=io.BytesIO(body.encode()))
    again = carecloud("request", "POST", "customers", "--body", "-", stdin=stdin)
    assert again.code == 0, again.err
    assert json.loads(again.out)["customer_id"] != customer_id


def test_bodies_that_cannot_be_sent(carecloud, tmp_path):
    """Broken JSON names its line, a missing file its name; nothing of the body is shown."""
    (tmp_path / "body.json").write_text('{\n"secret": hunter2}')
    refused = carecloud("request", "POST", "customers", "--body", "body.json", "--sandbox", 1)
    assert (refused.code, refused.line) == (2, "--body body.json: it is not JSON in line 2")
    (tmp_path / "body.json").write_bytes(b"\xff\xfe")
    assert carecloud("request", "POST", "customers", "--body", "body.json", "--sandbox", 1).code == 2
    missing = carecloud("request", "POST", "customers", "--body", "no.json", "--sandbox", 1)
    assert (missing.code, missing.line) == (1, "no.json: No such file or directory")


def test_a_parameter_of_the_wrong_kind(carecloud, project):
    """A value that the API would drop is refused before anything is sent."""
    refused = carecloud("request", "GET", "customers", "--param", "birthdate=12.2.1985")
    assert (refused.code, refused.line.startswith("--param birthdate takes a date")) == (2, True)
    assert project.count() == 0
    refused = carecloud("request", "GET", "customers", "--param", "count")
    assert (refused.code, "such as count=5" in refused.line) == (2, True)


def test_a_parameter_that_the_sdk_does_not_know(carecloud, project):
    """The API would ignore it: it is refused with the nearest name before anything is sent, or sent on demand."""
    call = ("request", "GET", "customers", "--param", "lastname=Smith")
    refused = carecloud(*call)
    assert (refused.code, refused.line) == (
        2,
        "GET /customers has no parameter 'lastname': did you mean last_name?; --allow-unknown sends it",
    )
    assert project.count() == 0
    done = carecloud(*call, "--allow-unknown")
    assert (done.code, done.err, project.count("GET /customers")) == (0, "", 1)


def test_calls_that_cannot_be(carecloud):
    """An unknown verb and a path with a query are wrong usage."""
    refused = carecloud("request", "FETCH", "customers", "--sandbox", 1)
    assert (refused.code, "GET" in refused.line) == (2, True)
    refused = carecloud("request", "GET", "customers?count=1", "--sandbox", 1)
    assert (refused.code, "without a query" in refused.line) == (2, True)


def test_a_read_only_command_writes_nothing(carecloud, project, monkeypatch):
    """`--read-only` and CARECLOUD_READ_ONLY refuse a write in one line, before it is sent; reads go on."""
    assert carecloud("total", "customers", "--read-only").code == 0
    done = carecloud("request", "DELETE", "cards/1", "--read-only")
    assert (done.code, done.line) == (
        2,
        "request (DELETE /cards/{id2}) may change something, and this client is read-only",
    )
    monkeypatch.setenv("CARECLOUD_READ_ONLY", "yes")
    assert "read-only" in carecloud("request", "DELETE", "cards/1").line
