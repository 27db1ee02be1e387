"""The hand-written script on httpx2."""

from types import ModuleType
from typing import ClassVar

import httpx2

from benchmarks.peers.script import Script


class Contender(Script):
    """`httpx2.AsyncClient`, as it comes."""

    family: ClassVar[ModuleType] = httpx2
