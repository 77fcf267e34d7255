"""`frozen` makes what `dataclasses.dataclass(frozen=True)` makes."""

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field

import pytest

from tilesim.frozen import frozen


class Body:
    """A noun."""

    slow: int
    fast: int = 2
    names: list = field(default_factory=list)
    shown: object = field(default=None, compare=False, kw_only=True)

    def __post_init__(self):
        if self.slow < 0:
            raise ValueError("below zero")


def named(name, make):
    """The same class, made by either."""
    body = {key: value for key, value in vars(Body).items() if key not in ("__dict__", "__weakref__")}
    return make(type(name, (), {**body, "__qualname__": name}))


Ours, Theirs = named("Ours", frozen), named("Theirs", dataclass(frozen=True))


class Child(Ours):
    def __init__(self, value):
        vars(self)["more"] = value
        super().__init__(value)


CALLS = [((1,), {}), ((1, 3), {"shown": 4}), ((), {"slow": 1, "names": [5]}), ((1, 2, [3]), {})]


@pytest.mark.parametrize("values, by_name", CALLS)
def test_it_holds_the_same_and_looks_the_same(values, by_name):
    ours, theirs = Ours(*values, **by_name), Theirs(*values, **by_name)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours == Ours(*values, **{**by_name, "shown": "not compared"}) != theirs
    assert ours != dataclasses.replace(ours, fast=9) and dataclasses.replace(ours, fast=9).fast == 9
    assert pickle.loads(pickle.dumps(ours)) == copy.copy(ours) == copy.deepcopy(ours) == ours


@pytest.mark.parametrize(
    "values, by_name", [((), {}), ((1, 2, [], None), {}), ((1,), {"slow": 1}), ((1,), {"x": 1}), ((), {"x": 1})]
)
def test_arguments_that_do_not_fit_are_a_type_error(values, by_name):
    with pytest.raises(TypeError, match="Ours: "):
        Ours(*values, **by_name)
    with pytest.raises(TypeError):
        Theirs(*values, **by_name)


def test_it_is_frozen_hashed_and_checked():
    ours = Ours(1, names=())
    for change in (lambda: setattr(ours, "slow", 2), lambda: delattr(ours, "slow")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert len({ours, Ours(1, names=()), Ours(2, names=())}) == 2
    with pytest.raises(ValueError, match="below zero"):
        Ours(-1)
    assert Ours(1).names is not Ours(1).names


def test_a_subclass_may_hold_more():
    child = Child(7)
    assert (child.slow, child.more) == (7, 7) and pickle.loads(pickle.dumps(child)).more == 7
    with pytest.raises(dataclasses.FrozenInstanceError):
        child.slow = 8


def test_its_signature_is_that_of_a_dataclass():
    ours, theirs = inspect.signature(Ours), inspect.signature(Theirs)
    assert list(ours.parameters) == list(theirs.parameters)
    assert [p.kind for p in ours.parameters.values()] == [p.kind for p in theirs.parameters.values()]
    assert str(inspect.signature(Child)) == "(value)"
    assert Ours.__match_args__ == Theirs.__match_args__


def test_methods_of_a_class_and_identity_are_kept():
    @frozen(eq=False, repr=False)
    class ById:
        x: int

        def __repr__(self):
            return "own"

    assert ById(1) != ById(1) and repr(ById(1)) == "own" and len({ById(1), ById(1)}) == 2


@pytest.mark.parametrize("options", [{"init": False, "default": 1}, {"hash": False}])
def test_options_of_fields_that_it_does_not_have_are_refused(options):
    with pytest.raises(TypeError, match=r"Odd\.b has init or hash"):
        frozen(type("Odd", (), {"__annotations__": {"a": int, "b": int}, "b": field(**options)}))
