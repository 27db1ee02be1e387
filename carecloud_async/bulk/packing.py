"""Checked rows as the journal keeps them, and digests of what it is bound to."""

from __future__ import annotations

import hashlib
import json

from carecloud_async.bulk.check import CheckedRow

__all__ = ["digest", "pack", "unpack"]


def digest(value: object) -> str:
    """Return a digest of something that a journal is bound to."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


def pack(row: CheckedRow) -> bytes:
    """Return a checked row as the journal keeps it."""
    values = {
        "key": row.key,
        "changes": row.changes,
        "beside": row.beside,
        "faults": row.faults,
        "opaque": row.opaque,
        "parts": row.parts,
        "last_change": row.last_change,
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def unpack(packed: bytes) -> CheckedRow:
    """Return a checked row that the journal kept."""
    values = json.loads(packed.decode("utf-8", "surrogatepass"))
    return CheckedRow(
        key=None if values["key"] is None else tuple(values["key"]),
        changes=values["changes"],
        beside=values["beside"],
        faults=values["faults"],
        opaque=values["opaque"],
        parts=values["parts"],
        last_change=values["last_change"],
    )
