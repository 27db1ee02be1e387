"""The script on httpx with cattrs on top: the SDK's models without the SDK's codec."""

from datetime import date, datetime
from types import ModuleType
from typing import Any, ClassVar

import httpx
from cattrs import Converter

from benchmarks.peers.script import Script
from carecloud_async.models import Customer


def _converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    converter.register_structure_hook(date, lambda value, _: date.fromisoformat(value))
    return converter


class Contender(Script):
    """json to dicts, then `Converter.structure` to `Customer`, at its fastest."""

    family: ClassVar[ModuleType] = httpx

    def __init__(self, origin: str, base_path: str) -> None:
        super().__init__(origin, base_path)
        self._structure = _converter().get_structure_hook(Customer)

    async def _get_page(self, offset: int, count: int) -> list[Any]:
        return [self._structure(item, Customer) for item in await super()._get_page(offset, count)]
