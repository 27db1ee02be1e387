"""The hand-written script on httpx."""

from types import ModuleType
from typing import ClassVar

import httpx

from benchmarks.peers.script import Script


class Contender(Script):
    """`httpx.AsyncClient`, as it comes."""

    family: ClassVar[ModuleType] = httpx
