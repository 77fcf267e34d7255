"""Docstrings of the public names: each has an example, the examples are true, no field goes without."""

import ast
import doctest
import inspect
import textwrap
from dataclasses import is_dataclass
from itertools import pairwise

import pytest

import tilesim


@pytest.mark.parametrize("name", tilesim.__all__)
def test_examples_of_public_names_are_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    thing = getattr(tilesim, name)
    runner, said = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    for test in doctest.DocTestFinder().find(thing, name, module=inspect.getmodule(thing), globs={}):
        runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).attempted > 0, f"tilesim.{name} has no example"
    assert not said, "".join(said)


@pytest.mark.parametrize("noun", [name for name in tilesim.__all__ if is_dataclass(getattr(tilesim, name))])
def test_every_field_of_a_public_noun_is_documented(noun):
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(getattr(tilesim, noun)))).body
    fields = [(one.target.id, after) for one, after in pairwise(definition.body) if isinstance(one, ast.AnnAssign)]
    bare = [
        name for name, after in fields if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
    ]
    assert fields and bare == []
