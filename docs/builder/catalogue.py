"""What the reference shows: the objects that its pages name, each with the page and the heading where it stands."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

import griffe

from carecloud_async import _HOMES as HOMES
from carecloud_async import ConfigurationError, Interface
from docs.builder.samples import Sample, samples

PACKAGE = "carecloud_async"
#: A line of a page that names an object, with a link to its source for readers of the repository.
SOURCE_LINE = re.compile(rf"^- \[`({PACKAGE}[\w.]*)`\]\(\S+\.py\)$")
#: Bases that have an entry of their own; what they bring is not repeated for each class.
_DOCUMENTED_BASES = {"Model", "Input", "Updatable", "Resource", "Updating", "BulkWriting"}
#: Public members that only other parts of the package call.
_INTERNAL = {"Faults.take", "Listing.export_source"}
#: Classes whose objects come from methods: what their constructors take is not shown.
MADE_BY_METHODS = {
    "ArrowStream",
    "BulkWriter",
    "Changes",
    "CustomerDependency",
    "CustomerStore",
    "Outbox",
    "Prefetch",
    "RecordBatches",
    "RequestLog",
    "Table",
    "WebhookDependency",
}
#: A constant of a module, as the default of an argument.
_CONSTANT = re.compile("_?[A-Z][A-Z_]+")
#: Who may call an operation of these interfaces.
_CALLERS = {
    frozenset({Interface.ENTERPRISE}): "an API user",
    frozenset({Interface.CUSTOMER}): "a device or a customer",
    frozenset(Interface): "an API user, a device or a customer",
}


@dataclass
class Catalogue:
    """The package, and where each of its documented objects stands.

    Attributes:
        package: what griffe read.
        calls: path of a class of operations → how it is reached: `client.customers.cards(customer_id)`.
        homes: name on the package → the module that it lives in, without the package's name.
        addresses: path of an object → the address at which users import it, where that is another one.
        samples: dotted name of an operation from the client → a call and its answer.
        identities: dotted name of an operation from the client → who may call it.
        places: path of a class or function, and its name where only one has it → `page.md#anchor`.
    """

    package: Any
    calls: dict[str, str]
    homes: dict[str, str]
    samples: Mapping[str, Sample] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Any:
        """Return the object with a dotted path, or with the address at which users import it."""
        name = path.removeprefix(f"{PACKAGE}.")
        obj = self.package[f"{self.homes[name]}.{name}" if name in self.homes else name]
        return self.get(obj.target_path) if obj.is_alias and obj.target_path.startswith(PACKAGE) else obj

    def anchor(self, obj: Any) -> str:
        """Return the anchor of an object: `Card`, or `customers.cards` for a class of operations."""
        call = self.calls.get(obj.path)
        return re.sub(r"\(\w+\)", "", call).removeprefix("client.") if call else obj.name

    def link(self, name: str, *, page: str) -> str | None:
        """Return the link from a page to an object, by its path or name."""
        place = self.places.get(name)
        return place.removeprefix(page) if place and place.startswith(f"{page}#") else place

    def place(self, obj: Any, page: str) -> None:
        """Remember where an object stands."""
        self.places[obj.path] = f"{page}#{self.anchor(obj)}"
        if obj.path not in self.calls:
            self.places[obj.name] = self.places[obj.path]

    def inventory(self) -> Iterator[tuple[str, str, str]]:
        """Return path, kind and place of each object, and of the methods of classes."""
        for path, place in self.places.items():
            if not path.startswith(f"{PACKAGE}."):
                continue
            obj = self.get(path)
            address = self.addresses.get(path, path)
            yield address, "class" if obj.is_class else "function" if obj.is_function else "data", place
            names = [method.name for method in self.methods(obj)] if obj.is_class else []
            if path in self.calls and self.inherits_update(obj):
                names.append("update")
            for name in names:
                yield f"{address}.{name}", "method", f"{place}.{name}"

    def inherits_update(self, cls: Any) -> bool:
        """Say whether a class of operations has the `update` that several share."""
        return "update" not in self.members(cls) and any(str(base).startswith("Updating[") for base in cls.bases)

    def bases(self, cls: Any) -> Iterator[Any]:
        """Return the classes of the package whose members are shown with those of a class that inherits from them.

        A record shows all its fields, and a family all its methods. Another class shows what is in no other entry.
        """
        whole = cls.path.startswith((f"{PACKAGE}.models.", f"{PACKAGE}.resources."))
        for base in cls.bases:
            generic = getattr(base, "left", base)
            path = getattr(generic, "canonical_path", "")
            if path.startswith(f"{PACKAGE}.") and path.rpartition(".")[2] not in _DOCUMENTED_BASES:
                obj = self.get(path)
                if not obj.is_alias and (whole or path not in self.places):  # an alias leads to another library
                    yield obj
                    yield from self.bases(obj)

    def members(self, cls: Any) -> dict[str, Any]:
        """Return the public members of a class, its own first."""
        members: dict[str, Any] = {}
        for owner in (cls, *self.bases(cls)):
            for name, obj in owner.members.items():
                if not obj.is_alias and not name.startswith("_") and f"{owner.name}.{name}" not in _INTERNAL:
                    members.setdefault(name, obj)
        return members

    def methods(self, cls: Any) -> list[Any]:
        """Return the public methods of a class."""
        return [obj for obj in self.members(cls).values() if obj.is_function]


def read(root: Path, pages: list[Path]) -> Catalogue:
    """Read the package, and find where each object stands.

    Args:
        root: the folder that holds the package.
        pages: the pages of the reference.
    """
    logging.getLogger("griffe").setLevel(logging.ERROR)  # a type that is on the class is no fault of its docstring
    package = griffe.load(PACKAGE, search_paths=[root], docstring_parser=griffe.Parser.google, resolve_aliases=False)
    _take_settings(package["client.CareCloud.__init__"], package["config.ClientSettings"])
    _resolve_defaults(package)
    catalogue = Catalogue(
        package=package, calls=_calls(), homes=dict(HOMES), samples=samples(), identities=_identities()
    )
    for page in pages:
        for line in page.read_text(encoding="utf-8").splitlines():
            if source := SOURCE_LINE.match(line):
                named = catalogue.get(source[1])
                catalogue.addresses[named.path] = source[1]
                for obj in shown(named):
                    catalogue.place(obj, page.name)
    return catalogue


def _take_settings(constructor: Any, settings: Any) -> None:
    """Give a constructor that `takes` the fields of a class of settings these as its parameters."""
    values = inspect.signature(_module(settings.module.path).__dict__[settings.name]).parameters
    classes = [settings]
    while classes[-1].bases:
        classes.append(settings.package[classes[-1].bases[0].canonical_path.removeprefix(f"{PACKAGE}.")])
    parameters = []
    for name, one in ((name, one) for cls in classes for name, one in cls.members.items() if name in values):
        default = values[name].default
        text = repr(default) if default is None or isinstance(default, int | str) else one.value
        parameters.append(
            griffe.Parameter(name, annotation=one.annotation, default=text, kind=griffe.ParameterKind.keyword_only)
        )
    constructor.parameters = griffe.Parameters(*parameters)


def _resolve_defaults(package: Any) -> None:
    """Put values in the places of constants that are defaults."""
    for obj in _every(package):
        for owner, attribute in (
            [(obj, "value")] if obj.is_attribute else [(each, "default") for each in obj.parameters]
        ):
            name = str(getattr(owner, attribute))
            if _CONSTANT.fullmatch(name) and obj.parent is not package:
                value = getattr(_module(obj.module.path), name, None)
                if isinstance(value, int | float | str):
                    setattr(owner, attribute, repr(value))


def _every(obj: Any) -> Iterator[Any]:
    """Return the functions of a package, and the attributes of its classes."""
    for member in obj.members.values():
        if member.is_alias:
            continue
        if member.is_function or (member.is_attribute and obj.is_class):
            yield member
        elif member.is_module or member.is_class:
            yield from _every(member)


def _module(path: str) -> Any:
    try:
        return import_module(path)
    except (ImportError, ConfigurationError):  # of an extra that is not installed
        return None


def shown(named: Any) -> list[Any]:
    """Return what an entry of a page shows: the object itself, or what is public and defined in the module."""
    if not named.is_module:
        return [named]
    return [
        obj
        for obj in named.members.values()
        if not obj.is_alias
        and not obj.is_module
        and not obj.name.startswith("_")
        and (obj.is_class or obj.is_function or obj.docstring)
    ]


def is_enum(obj: Any) -> bool:
    """Say whether an object is an enumeration."""
    return obj.is_class and bool({str(base) for base in obj.bases} & {"Enum", "IntEnum", "StrEnum"})


def _calls() -> dict[str, str]:
    """Return how each class of operations is reached from a client."""
    from carecloud_async.resources.declare import Resource
    from carecloud_async.resources.families import family_modules

    for module in family_modules():
        import_module(module)
    return {f"{cls.__module__}.{cls.__qualname__}": _call(cls) for cls in _below(Resource) if cls._operations}


def _identities() -> dict[str, str]:
    """Return for each operation which identities may call it."""
    from carecloud_async.resources import OPERATIONS

    identities = {operation.call: _identity(operation) for operation in OPERATIONS.values()}
    updates = {
        f"{name.rpartition('.')[0]}.update": who for name, who in identities.items() if name.endswith(".replace")
    }
    return {"customers.me": "a customer", "segments.sync": identities["segments.get"], **updates, **identities}


def _identity(operation: Any) -> str:
    if not operation.authorized:
        return "any identity; no login is needed"
    return _CALLERS[operation.interfaces]


def _below(cls: Any) -> Iterator[Any]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _below(subclass)


def _call(cls: Any) -> str:
    operation = cls._operations[0]
    family, *parts = operation.call.split(".")[:-1]
    ids = re.findall(r"\{(\w+)\}", operation.path)[: len(parts)]
    parts = [f"{part}({name})" if name else part for part, name in zip_longest(parts, ids)]
    return ".".join(["client", family, *parts])
