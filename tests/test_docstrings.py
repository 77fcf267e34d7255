"""Docstrings of the public names: each has an example, the examples are true, no field goes without."""

import ast
import doctest
import inspect
import re
import textwrap
from dataclasses import is_dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import pytest

import tilesim

ROOT = Path(__file__).parents[1]
MODULES = [f"{module}.{name}" for module in tilesim._MODULES for name in getattr(tilesim, module).__all__]


@pytest.mark.parametrize("name", [*tilesim.__all__, *MODULES])
def test_examples_of_public_names_are_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    thing = attrgetter(name)(tilesim)
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
    assert (fields or definition.bases) and bare == []


FOREIGN = re.compile(r"^Of |\b(told|tells|mends?|anew|deaf|extinct|patience|unfit)\b")
"""How no text of the house begins, and words for which the field has others (CONTRIBUTING.md)."""


@pytest.mark.parametrize(
    "part", sorted({path.parts[-2] for folder in ("tilesim", "cli") for path in (ROOT / folder).rglob("*.py")})
)
def test_docstrings_and_helps_use_the_terms_of_the_field(part):
    found = []
    for path in (
        path for folder in ("tilesim", "cli") for path in (ROOT / folder).rglob("*.py") if path.parts[-2] == part
    ):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                found += [f"{path.name}:{node.lineno}: {node.value[:60]}"] if FOREIGN.search(node.value) else []
    assert found == []
