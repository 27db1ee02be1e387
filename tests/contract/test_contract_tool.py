"""`python -m tests.contract`: what it prints and how it exits when a description changes."""

import pytest
from every import every

pytest.importorskip("yaml", reason="PyYAML is not installed")

from tests.contract import manifest
from tests.contract.__main__ import main
from tests.contract.description import facts_of
from tests.contract.made_up import description, write
from tests.contract.prose import interface


@pytest.fixture
def now():
    """A description, to be changed."""
    return description()


@pytest.fixture
def run(tmp_path, capsys):
    """Compare a description with the made-up one: exit code and lines."""
    known = tmp_path / "manifest.json"
    known.write_text(manifest.dumps(facts_of(description())), encoding="utf-8")

    def compare(changed, *more):
        code = main([str(write(tmp_path / "new.json", changed)), "--manifest", str(known), *more])
        return code, capsys.readouterr().out.splitlines()

    return compare


def operation(described, path, verb):
    return described["paths"][path][verb]


def boat(described):
    return described["components"]["schemas"]["Boat"]


def field(described, name):
    return boat(described)["properties"][name]


def query(described, name):
    return next(
        parameter for parameter in operation(described, "/boats", "get")["parameters"] if parameter.get("name") == name
    )


def body(described):
    return operation(described, "/boats", "post")["requestBody"]["content"]["application/json"]["schema"]


def backwards(value):
    """The same value with all keys and parameters in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(list(value))}
    return [backwards(item) for item in reversed(value)] if isinstance(value, list) else value


def reworded(now):
    operation(now, "/boats", "get")["description"] = "Every boat. Adding one: (Enterprise API only)."
    operation(now, "/boats", "post")["description"] = "This **endpoint** is only available in the Enterprise API."
    field(now, "launched").update(description="When it first swam.", example="1999-12-31")


def restructured(now):
    """The same, with parameters, answers and bodies in their place or referred to, and names with brackets."""
    parameters = operation(now, "/boats", "get")["parameters"]
    parameters[0] = now["components"]["parameters"].pop("count")
    query(now, "boat_ids")["name"] = "boat_ids[]"
    now["components"]["parameters"]["by_name"] = query(now, "name")
    parameters[4] = {"$ref": "#/components/parameters/by_name"}
    operation(now, "/boats", "get")["responses"]["200"] = now["components"]["responses"].pop("Boats")
    now["components"]["requestBodies"] = {"Boat": operation(now, "/boats", "post")["requestBody"]}
    operation(now, "/boats", "post")["requestBody"] = {"$ref": "#/components/requestBodies/Boat"}


def test_what_means_nothing_is_no_change(run):
    """Order, prose, examples of the same format, and what is referred to rather than written are silent."""
    changed = [description(), backwards(description())]
    for change in (reworded, restructured):
        changed.append(description())
        change(changed[-1])
    assert [run(item) for item in changed] == [(0, [])] * 4


def moved(now):
    now["paths"]["/ships"] = {"post": now["paths"]["/boats"].pop("post")}


OARS = {"get": {"operationId": "getOars", "responses": {"200": {}}}}
CUSTOMERS_ONLY = "⚠️ Endpoint is available only in Customer interface."
#: A change of the description, and the lines that it gives.
CHANGES = [
    (lambda now: now["paths"]["/boats/{boat_id}"].pop("delete"), ["- deleteBoat: "]),
    (moved, ["+ postBoat: ", "- postBoat: "]),
    (
        lambda now: operation(now, "/boats", "get").update(description=CUSTOMERS_ONLY),
        ["+ getBoats: ", "- getBoats: "],
    ),
    (lambda now: operation(now, "/boats", "get")["parameters"].pop(4), ["- getBoats, query parameter name: "]),
    (lambda now: body(now)["properties"].pop("note"), ["- postBoat, body field note: "]),
    (
        lambda now: field(now, "length").update(type="string"),
        ['+ Boat, field length: {"type": "string"}', '- Boat, field length: {"type": "number"}'],
    ),
    (lambda now: boat(now)["properties"].update(berth={"type": "string"}), ['+ Boat, field berth: {"type": "string"}']),
    (
        lambda now: field(now, "kind").update(enum=[1, 2, 3]),
        [
            '+ Boat, field kind: {"enum": [1, 2, 3], "type": "integer"}',
            '- Boat, field kind: {"enum": [1, 2], "type": "integer"}',
        ],
    ),
    (lambda now: now["paths"].update({"/oars": OARS}), ["+ getOars: "]),
]


@every("change, expected", CHANGES)
def test_a_change_is_said_by_its_facts(run, change, expected):
    """What is gone and what is new is a line each that begins with the operation or schema; the exit code is 1."""
    now = description()
    change(now)
    code, lines = run(now)
    assert code == 1
    assert [line[: len(begin)] for line, begin in zip(lines, expected, strict=True)] == expected


ODD = ["", "[1, 2]", "{", "paths: 3", '{"paths": {"/a": 3}}', "paths: {/a: {get: {parameters: [{}]}}}"]
BROKEN = '{"operations": [{"operation_id": "getBoats", "verb": 1, "path": "/boats"}], "schemas": []}'


@pytest.fixture
def fails(capsys):
    """Run the tool with arguments that are wrong: exit code 2, and the one line on the error output."""

    def main_fails(*arguments):
        assert main([*map(str, arguments)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        (line,) = said.err.splitlines()
        return line

    return main_fails


def test_what_cannot_be_read_is_one_line(tmp_path, now, fails):
    """No description, no file and a broken manifest exit with 2 and say why."""
    for text in ODD:
        (tmp_path / "odd.yaml").write_text(text)
        fails(tmp_path / "odd.yaml")
    assert "cannot read" in fails(tmp_path / "none.yaml")
    known = tmp_path / "manifest.json"
    known.write_text(BROKEN)
    assert "operations[0].verb" in fails(write(tmp_path / "new.json", now), "--manifest", known)


def test_wrong_usage_exits_with_2():
    """Two files and an unknown option are wrong usage."""
    for arguments in (["a", "b"], ["--nonsense"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2


def test_without_a_file(tmp_path, now, capsys):
    """Without a file the description beside the checkout is compared, and without that it is wrong usage."""
    with pytest.raises(SystemExit):
        main([], beside=tmp_path / "none.yaml")
    assert main([], beside=write(tmp_path / "new.json", now)) == 1
    assert capsys.readouterr().out


def test_writing_and_reading_a_manifest(tmp_path, now):
    """Facts that are written, one field a line, are read back as the same facts."""
    known = tmp_path / "manifest.json"
    assert main([str(write(tmp_path / "new.json", now)), "--manifest", str(known), "--write-manifest"]) == 0
    assert manifest.load(known) == facts_of(now)
    lines = [line.strip().rstrip(",") for line in known.read_text().splitlines()]
    assert '{"name": "kind", "type": "integer", "enum": [1, 2]}' in lines


def test_the_manifest_is_in_its_own_form():
    """The committed manifest is what the tool would write."""
    text = manifest.MANIFEST.read_text(encoding="utf-8")
    assert manifest.dumps(manifest.loads(text)) == text


@every(
    "said, meant",
    [
        ("⚠️ Endpoint is available only in Enterprise API.", "enterprise"),
        ("⚠️ Action methods are available only in Enterprise interface.", "enterprise"),
        ('Adds. <p class="warning">⚠️ Endpoint is available only in Customer API</p>', "customer"),
        ("This endpoint is only available in the **Customer API**.", "customer"),
        ("Can be used exclusively on the `enterprise-interface`.", "enterprise"),
        ("Only the Enterprise API supports this endpoint.", "enterprise"),
        ("Restricted to the Customer API.", "customer"),
        ("Not available in Customer API.", "enterprise"),
        ("Enterprise API only.", "enterprise"),
        ("To add one, use [POST /boats](there) (Enterprise API only).", "both"),
        ("`autologin` means something only in calls from Customer API.", "both"),
        ("The `secret` parameter can be used only in Enterprise API.", "both"),
        ("⚠️ For use in a Customer API integration, this has to be allowed. Contact the administrator.", "both"),
        ("Available in the Enterprise API and the Customer API.", "both"),
        ("", "both"),
    ],
)
def test_the_interface_in_prose(said, meant):
    """A warning about the operation counts however it is worded; remarks about anything else do not."""
    assert interface(said) == meant
