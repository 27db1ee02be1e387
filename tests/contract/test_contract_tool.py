"""`python -m tests.contract`: what it prints and how it exits when a description changes."""

import pytest
from every import every

pytest.importorskip("yaml", reason="PyYAML is not installed")

from tests.contract import manifest
from tests.contract.__main__ import main
from tests.contract.description import DESCRIPTION, facts_of
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
    return next(one for one in operation(described, "/boats", "get")["parameters"] if one.get("name") == name)


def body(described):
    return operation(described, "/boats", "post")["requestBody"]["content"]["application/json"]["schema"]


def backwards(value):
    """The same value with all keys and parameters in the opposite order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(list(value))}
    return [backwards(one) for one in reversed(value)] if isinstance(value, list) else value


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
    assert [run(one) for one in changed] == [(0, [])] * 4


def without_schema(now):
    now["components"]["schemas"]["Skipper"] = now["components"]["schemas"].pop("Owner")
    field(now, "owner")["$ref"] = "#/components/schemas/Skipper"


def moved(now):
    now["paths"]["/ships"] = {"post": now["paths"]["/boats"].pop("post")}


def new_required_field(now):
    boat(now)["properties"]["berth"] = {"type": "string"}
    boat(now)["required"].append("berth")


def data_of(answer):
    """The properties of an answer's body."""
    return answer["content"]["application/json"]["schema"]["properties"]


def other_answer(now):
    answer = operation(now, "/boats/{boat_id}", "get")["responses"]["200"]
    data_of(answer)["data"] = {"$ref": "#/components/schemas/Owner"}


def other_key(now):
    inside = data_of(now["components"]["responses"]["Boats"])["data"]["properties"]
    inside["all_boats"] = inside.pop("boats")


def of_boats(verb, **changes):
    """A change of an operation on boats."""
    return lambda now: operation(now, "/boats", verb).update(changes)


def of_field(name, **changes):
    """A change of a field of a boat."""
    return lambda now: field(now, name).update(changes)


def of_name(**changes):
    """A change of the parameter `name`."""
    return lambda now: query(now, "name").update(changes)


COLOUR = {"name": "colour", "in": "query", "schema": {}}
OARS = {"get": {"operationId": "getOars", "responses": {"200": {}}}}
CUSTOMERS_ONLY = "⚠️ Endpoint is available only in Customer interface."

BREAKING = [
    (
        lambda now: now["paths"]["/boats/{boat_id}"].pop("delete"),
        "deleteBoat: remove the operation and its method: DELETE /boats/{boat_id} is gone",
    ),
    (moved, "postBoat: send POST /ships instead of POST /boats"),
    (of_boats("get", description=CUSTOMERS_ONLY), "getBoats: declare it for Customer API only (was both)"),
    (
        lambda now: operation(now, "/boats", "get")["parameters"].pop(4),
        "getBoats: remove the query parameter `name`: it is gone",
    ),
    (lambda now: boat(now)["properties"].pop("length"), "Boat: remove the field `length`: it is gone"),
    (lambda now: body(now)["properties"].pop("note"), "postBoat: remove the body field `note`: it is gone"),
    (of_field("length", type="string"), "Boat: make the field `length` string instead of number"),
    (
        of_name(schema={"type": "array", "items": {"type": "string"}}),
        "getBoats: make the query parameter `name` string[] instead of string",
    ),
    (lambda now: boat(now)["required"].append("kind"), "Boat: make the field `kind` required"),
    (new_required_field, "Boat: add the field `berth` (string): it is new, and must be sent"),
    (of_name(required=True), "getBoats: make the query parameter `name` required"),
    (
        of_field("length", readOnly=True),
        "Boat: leave the field `length` out of inputs and changes: only the server writes it now",
    ),
    (of_field("kind", enum=[1]), "Boat: the field `kind` no longer takes 2: remove it from the enum"),
    (other_answer, "getBoat: return Owner instead of Boat"),
    (other_key, "getBoats: read the list from `all_boats` instead of `boats`"),
    (of_boats("get", security=[]), "getBoats: send no token any more"),
]
MERELY_NEW = [
    (lambda now: now["paths"].update({"/oars": OARS}), "getOars: add GET /oars"),
    (
        lambda now: operation(now, "/boats", "get")["parameters"].append(COLOUR),
        "getBoats: add the query parameter `colour` (any)",
    ),
    (
        lambda now: boat(now)["properties"].update(colour={"type": "string"}),
        "Boat: add the field `colour` (string)",
    ),
    (of_field("kind", enum=[1, 2, 3]), "Boat: add 3 to the enum of the field `kind`"),
    (of_boats("post", description="Adds a boat."), "postBoat: declare it for both interfaces (was enterprise)"),
    (
        of_field("launched", example="2020-02-03 04:05:06"),
        "Boat: see whether the field `launched` is timestamp: its example was date",
    ),
    (
        of_field("boat_id", readOnly=False),
        "Boat: add the field `boat_id` to inputs and changes: it may be written now",
    ),
    (
        of_boats("get", operationId="listBoats"),
        "getBoats: rename the operation to listBoats; nothing is sent otherwise",
    ),
]
KINDS = [("breaks", *one) for one in BREAKING] + [("new", *one) for one in MERELY_NEW]


@every("kind, change, line", KINDS)
def test_one_change_is_one_line(run, kind, change, line):
    """One change is one line that says whether it breaks callers, and exits with 1."""
    now = description()
    change(now)
    assert run(now) == (1, [f"{kind:6}  {line}"])


def test_a_schema_that_is_gone(run, now):
    """A renamed schema gives three lines: the old class goes, the field's type changes, a new class comes."""
    without_schema(now)
    code, lines = run(now)
    assert code == 1
    assert lines == [
        "breaks  Owner: remove its classes: the schema is gone",
        "breaks  Boat: make the field `owner` Skipper instead of Owner",
        "new     Skipper: add its classes (owner_id)",
    ]


def test_the_worst_comes_first(run, now):
    """Changes that break callers are listed before new things, and removed operations before all others."""
    for change, _ in [*MERELY_NEW[:5], BREAKING[3], BREAKING[4], BREAKING[0]]:
        change(now)
    code, lines = run(now)
    assert code == 1
    assert [line.split()[0] for line in lines] == ["breaks"] * 3 + ["new"] * 5
    assert lines[0].endswith("is gone")
    assert "deleteBoat" in lines[0]


def test_the_same_change_in_many_places_is_one_line(run, now):
    """Operations that change alike share a line."""
    for path, verb in (("/boats", "get"), ("/boats/{boat_id}", "get"), ("/boats/{boat_id}", "delete")):
        parameters = operation(now, path, verb).setdefault("parameters", [])
        parameters.append({"name": "language", "in": "query", "schema": {"type": "string"}})
    assert run(now) == (1, ["new     getBoats, getBoat, deleteBoat: add the query parameter `language` (string)"])


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


def test_the_manifest_is_the_vendors_file(capsys):
    """The tool is silent on the vendor's file."""
    if not DESCRIPTION.exists():
        pytest.skip("the vendor's description is not beside the project")
    assert main([str(DESCRIPTION)]) == 0
    assert capsys.readouterr().out == ""


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
