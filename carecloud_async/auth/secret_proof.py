"""Proof that whoever asks for a stored customer session knows the secret that opened it.

Without it, a login page that derives device ids from e-mail addresses would hand a stored session to anyone who types
the e-mail with any password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from anyio import to_thread

_PROCESS_KEY = secrets.token_bytes(32)
# A shared store outlives the process and may be stolen: the hash of a person's password in it must be slow to guess.
_COST = {"n": 2**12, "r": 8, "p": 1, "dklen": 32}


async def hash_secret(secret: str, *, shared: bool) -> str:
    """Return the proof of a secret, slow and salted where other processes can read it."""
    return await _scrypt(secret, secrets.token_hex(16)) if shared else _keyed(secret)


async def verify_secret(proof: str | None, secret: str) -> bool:
    """Tell whether the proof was made from this secret."""
    if not proof:
        return False
    kind, _, rest = proof.partition("$")
    expected = await _scrypt(secret, rest.partition("$")[0]) if kind == "scrypt" else _keyed(secret)
    return hmac.compare_digest(proof, expected)


def _keyed(secret: str) -> str:
    return "process$" + hmac.new(_PROCESS_KEY, secret.encode(), hashlib.sha256).hexdigest()


async def _scrypt(secret: str, salt: str) -> str:
    key = await to_thread.run_sync(lambda: hashlib.scrypt(secret.encode(), salt=salt.encode(), **_COST))
    return f"scrypt${salt}${key.hex()}"
