"""The oldest SQLite on which durable work runs is 3.26, which RHEL 8 has; `.ci/old-sqlite` runs the tests with it."""

import ast
import re

from project_files import PACKAGE, nodes_of, python_files, text_of

STATEMENT = re.compile(r"\s*(ALTER|CREATE|DELETE|DROP|INSERT|PRAGMA|SELECT|UPDATE|VACUUM|WITH)\b")
PARENTHESES = re.compile(r"\([^()]*(\)|$)")
NEWER = re.compile(
    r"\bsqlite_schema\b|\biif\s*\(|\bRETURNING\b|\bVACUUM INTO\b|\bNULLS (FIRST|LAST)\b|\bMATERIALIZED\b|\bSTRICT\b"
    r"|\bIS (NOT )?DISTINCT\b|\b(DROP|RENAME) COLUMN\b|\bFILTER\s*\(|->|\bGENERATED\b|\bunixepoch\b|\bstring_agg\b"
    r"|\bON CONFLICT DO UPDATE\b"
)
UPDATE_FROM = re.compile(r"\s*UPDATE\b.*\bFROM\b", re.DOTALL)


def literal(node):
    """The text of a string; what an f-string puts in counts as `?`."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_newer(statement):
    outer = PARENTHESES.sub("", PARENTHESES.sub("", statement))  # a query in parentheses has a FROM of its own
    return NEWER.search(statement) or UPDATE_FROM.match(outer)


def test_no_statement_needs_a_newer_sqlite():
    """SQLite 3.26 knows every construct of the statements."""
    statements = [
        (path.relative_to(PACKAGE).as_posix(), statement.strip())
        for path in python_files("carecloud_async")
        if "sqlite" in text_of(path).lower() or "execute" in text_of(path)
        for text in map(literal, nodes_of(path))
        if STATEMENT.match(text)
        for statement in text.split(";")
    ]
    assert len(statements) > 80
    assert [(file, statement) for file, statement in statements if is_newer(statement)] == []
