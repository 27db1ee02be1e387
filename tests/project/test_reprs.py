"""Reprs hold no token and no record: error reporters print the local variables of frames."""

import ast

from project_files import ROOT, nodes_of, python_files

#: What fields that hold secrets or personal data are called.
PRIVATE = {
    "base", "bearer", "body", "card_number", "device_id", "device_name", "headers", "json", "key", "line", "lines",
    "login", "login_value", "params", "password", "path_params", "push_token", "raw", "raw_records", "record",
    "records", "secret", "social_network_token", "source", "sso_token", "subject", "text",
    "token", "token_id", "token_request_id", "url", "value",
}  # fmt: skip
#: How fields of these names are annotated that can hold such data.
HOLDS = ("str", "bytes", "Mapping", "Any", "Secret", "T |")
#: Fields that hold neither, and those whose values print as stars.
ALLOWED = {
    "bulk/family.py Items.key",  # a field's name
    "_calls/call/failure.py TransportFailure.text",
}


def test_private_fields_are_in_no_repr():
    """A field of a value that may hold a token, a filter, a key or a record has `repr=False`, or prints as stars."""
    shown = set()
    for path in python_files("carecloud_async"):
        place = path.relative_to(ROOT / "carecloud_async").as_posix()
        if not place.startswith(("sandbox/", "cli/", "pytest_plugin/")):
            classes = [node for node in nodes_of(path) if isinstance(node, ast.ClassDef) and prints(node)]
            shown |= {f"{place} {cls.name}.{name}" for cls in classes for name in shown_fields(cls)}
    assert sorted(shown - ALLOWED) == []


def prints(node):
    """Whether attrs makes the repr of a class."""
    calls = [ast.unparse(decorator) for decorator in node.decorator_list]
    own = any(isinstance(member, ast.FunctionDef) and member.name == "__repr__" for member in node.body)
    return not own and any(call.startswith(("frozen", "attrs.")) and "repr=False" not in call for call in calls)


def shown_fields(node):
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id in PRIVATE:
            hidden = field.value is not None and "repr=" in ast.unparse(field.value)
            if not hidden and any(kind in ast.unparse(field.annotation) for kind in HOLDS):
                yield field.target.id
