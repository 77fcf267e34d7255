"""Frozen dataclasses that are quick to define: their methods are written here once, not compiled for each class.

A command defines some eighty of them, and with `dataclasses.dataclass(frozen=True)`, which compiles six methods for
each, that took a seventh of a small run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from inspect import Parameter, Signature

Kind = TypeVar("Kind")


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: type[Kind], /) -> type[Kind]: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(
    *, init: bool = True, repr: bool = True, eq: bool = True, kw_only: bool = False
) -> Callable[[type[Kind]], type[Kind]]: ...
def frozen(
    cls: type[Any] | None = None, /, *, init: bool = True, repr: bool = True, eq: bool = True, kw_only: bool = False
) -> Any:
    """Make a frozen dataclass, as `dataclasses.dataclass` with `frozen=True` and the same options does.

    Raises TypeError for fields with `init=False` or a `hash` of their own, which there are not.
    """

    def make(cls: type[Any]) -> type[Any]:
        dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
        if odd := [f.name for f in dataclasses.fields(cls) if not f.init or f.hash is not None]:
            raise TypeError(f"{cls.__name__}.{odd[0]} has init or hash; expected neither in a frozen class")
        methods: dict[str, Any] = {"__setattr__": _refuse, "__delattr__": _refuse}
        if init:
            method = _init(cls)
            methods |= {"__init__": method, "__signature__": _Signature(method)}
        if repr:
            methods["__repr__"] = _repr
        if eq:
            methods |= _equality(cls)
        for name, method in methods.items():
            if vars(cls).get(name) is None:  # a class that defines __eq__ alone has None for __hash__
                setattr(cls, name, method)
        return cls

    return make if cls is None else make(cls)


def _init(cls: type[Any]) -> Callable[..., None]:
    """The method __init__ of a dataclass."""
    fields = dataclasses.fields(cls)
    names, positional = {f.name for f in fields}, [f.name for f in fields if not f.kw_only]
    defaults = {f.name: f.default for f in fields if f.default is not MISSING}
    factories = [(f.name, f.default_factory) for f in fields if f.default_factory is not MISSING]
    checked = hasattr(cls, "__post_init__")

    def __init__(self: Any, /, *values: Any, **named: Any) -> None:
        given = dict(zip(positional, values, strict=False)) if values else {}
        state = {**defaults, **given, **named}
        for name, make in factories:
            if name not in state:
                state[name] = make()
        if state.keys() != names or len(given) != len(values) or given.keys() & named.keys():
            _complain(cls, values, named)
        self.__dict__.update(state)
        if checked:
            self.__post_init__()

    return __init__


def _complain(cls: type[Any], values: tuple[Any, ...], named: dict[str, Any]) -> NoReturn:
    """Raise the TypeError that says which arguments are missing, unknown or too many."""
    try:
        _signature(cls).bind(*values, **named)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None
    raise AssertionError("arguments that do not fit were bound")


class _Signature:
    """The signature of a class, for help and editors, made when it is asked for."""

    def __init__(self, method: Callable[..., None]) -> None:
        self._method = method

    def __get__(self, instance: object, owner: type[Any]) -> Signature:
        if instance is not None or owner.__init__ is not self._method:
            raise AttributeError("__signature__")
        return _signature(owner)


def _signature(cls: type[Any]) -> Signature:
    """The signature of the method __init__ of a dataclass."""
    from inspect import Parameter, Signature

    def parameter(field: dataclasses.Field[Any]) -> Parameter:
        default = field.default if field.default_factory is MISSING else field.default_factory
        kind = Parameter.KEYWORD_ONLY if field.kw_only else Parameter.POSITIONAL_OR_KEYWORD
        shown = Parameter.empty if default is MISSING else default
        return Parameter(field.name, kind, default=shown, annotation=field.type)

    ordered = sorted(map(parameter, dataclasses.fields(cls)), key=lambda one: one.kind)
    return Signature(ordered, return_annotation=None)


def _refuse(self: Any, name: str, *value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r}")


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _equality(cls: type[Any]) -> dict[str, Callable[..., Any]]:
    """The methods __eq__ and __hash__ of a dataclass."""
    values = attrgetter("__class__", *(f.name for f in dataclasses.fields(cls) if f.compare))

    def __eq__(self: Any, other: object) -> bool:
        return values(self) == values(other) if type(self) is type(other) else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(values(self))

    return {"__eq__": __eq__, "__hash__": __hash__}
