"""What the documentation promises: the tutorial runs, the pages name what exists."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tilesim

ROOT = Path(__file__).parents[1]


def test_the_tutorial_runs_as_a_script(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "tutorial.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "dask.array<tilesim" in done.stdout
    lit, inside = re.search(r"lit pixels: (\d+) \| of them in the region: (\d+)", done.stdout).groups()
    assert int(lit) == int(inside) > 0
    assert "the same experiment? False" in done.stdout


def test_the_page_of_options_names_every_option_of_run():
    from tilesim_cli.run import command

    page = (ROOT / "docs" / "options.md").read_text()
    options = {parameter.opts[0] for parameter in command.params}  # others are earlier names
    assert [name for name in sorted(options) if f"`{name}" not in page] == []


def test_the_index_of_the_readme_has_every_page():
    index = (ROOT / "README.md").read_text().partition("## Documentation")[2]
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"](docs/{page.name})" not in index] == []


def test_results_that_pages_cite_are_there():
    cited = {
        name
        for page in ROOT.glob("docs/*.md")
        for name in re.findall(r"bench/results/[\w-]+\d\.json", page.read_text())
    }
    assert cited and [name for name in sorted(cited) if not (ROOT / name).is_file()] == []


def test_the_corrections_page_has_the_table_that_the_program_prints():
    from tilesim.nanobragg.corrections import CORRECTIONS

    page = (ROOT / "docs" / "corrections.md").read_text()
    rows = re.findall(r"^\| (K\d+) \| (.*?) \| (.*?) \| (.*?)\s*\|$", page, re.MULTILINE)
    assert rows == [(one.number, one.reference, one.ours, one.why) for one in CORRECTIONS]
    assert [number for number, *_ in rows] == [f"K{n}" for n in range(1, 18)]


@pytest.mark.parametrize("name", ["docs/architecture.md", "docs/glossary.md", "CONTRIBUTING.md"])
def test_pages_for_developers_name_files_and_rooms_that_exist(name):
    """A file without its room is in the one named before it."""
    room, missing = "", []
    named = re.findall(r"`((?:\w+/)*)(\w+\.(?:cpp|h|html|pyi?|sh|toml))?`", (ROOT / name).read_text())
    for folders, file in named:
        room = folders or room
        places = (ROOT / folders, ROOT / "tilesim" / folders, ROOT / "tilesim" / room)
        missing += [] if any((place / file).exists() for place in places) else [folders + file]
    assert len(named) > 10 and missing == []


def test_the_glossary_names_classes_where_they_are():
    nouns = re.findall(r"^\| `(\w+)` \(`([\w/]+\.py)`\)", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(nouns) > 12
    for noun, file in nouns:
        assert re.search(rf"^(?:class {noun}\b|{noun} = )", (ROOT / "tilesim" / file).read_text(), re.MULTILINE), noun


def test_links_of_the_pages_lead_to_files():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text())]
    assert len(links) > 20
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_the_reference_has_every_public_name_once():
    pages = [page.read_text() for page in (ROOT / "docs" / "reference").glob("*.rst")]
    line = re.compile(r"^\.\. auto\w+:: tilesim\.((?:torch\.)?\w+)$", re.MULTILINE)
    named = [name for page in pages for name in line.findall(page)]
    modules = {f"{module}.{name}" for module in tilesim._MODULES for name in getattr(tilesim, module).__all__}
    assert sorted(named) == sorted([*tilesim.__all__, *modules])


def test_the_checks_before_a_commit_are_those_of_make_test():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    recipe = re.search(r"^checks:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    commands = recipe.replace("$(VENV)", ".venv").replace("\t", "").splitlines()
    assert [hook["entry"] for hook in hooks] == commands


def test_the_page_on_structure_factors_shows_what_its_commands_print(tmp_path, monkeypatch):
    from tilesim.nanobragg.resolve import read_command

    page = (ROOT / "docs" / "structure-factors.md").read_text()
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    shown = re.findall(r"^    tilesim run ([^#\n]*-lambda[^\n]*)\n\n```\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    for words, output in shown:
        command = read_command(words.split(), completeness=False)
        assert set(output.splitlines()) <= {*command.report, *command.completeness_lines}


def test_the_page_on_traces_shows_what_its_commands_print(tmp_path, monkeypatch):
    import shlex

    from tilesim.nanobragg.resolve import read_command
    from tilesim.tools.trace import trace_pixel
    from tilesim.tools.tracelog import read_trace
    from tilesim.tools.traces import compare_traces, comparison_lines

    page = (ROOT / "docs" / "trace.md").read_text()
    shown, compared = re.findall(r"```\n(.*?)```", page, re.DOTALL)
    words = shlex.split(re.search(r"--pixel 40 25 -- (.*?) > right.log", page, re.DOTALL)[1])
    matrix = re.search(r"printf '(.*?)' > A.mat", page)[1].replace("\\n", "\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "A.mat").write_text(matrix)
    for name, flags in (("right.log", words), ("wrong.log", [*words, "-lambda", "1.25"])):
        lines = []
        command = read_command([word for word in flags if word != "\n"])
        trace_pixel(command.experiment, 40, 25, lambda v, to=lines: to.append(v.text), stages=command.stages)
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "shown.log").write_text(shown)
    right, wrong, page_log = map(read_trace, ("right.log", "wrong.log", "shown.log"))
    assert len(right) == 159
    found = compare_traces(page_log, right, 1e-9)
    assert (found.compared, found.differences) == (len(shown.splitlines()), ())
    assert "\n".join(comparison_lines(compare_traces(right, wrong), ("right.log", "wrong.log"))) + "\n" == compared


@pytest.mark.parametrize("name", ["nanobragg", "simtbx", "crystfel"])
def test_pages_for_newcomers_name_options_and_fields_that_exist(name):
    """Names of the other program stand in the first column of a table."""
    from tilesim.nanobragg.flags import FLAGS
    from tilesim_cli.program import COMMANDS
    from tilesim_cli.program import tilesim as program

    rows = re.findall(r"^\| [^|]*\|(.*)\|$", (ROOT / "docs" / f"coming-from-{name}.md").read_text(), re.MULTILINE)
    commands = [program.get_command(None, command) for command in COMMANDS]
    options = {option for command in commands for one in command.params for option in one.opts}
    flags = tuple(name for flag in FLAGS for name in flag.names)
    ours = [span for row in rows for span in re.findall(r"`([^`]*)`", row)]
    named = {word for span in ours for word in re.findall(r"(?<![\w-])(-{1,2}[A-Za-z][\w-]*)", span)}
    assert len(rows) > 8 and len(named) > 5
    assert sorted(word for word in named if word.startswith("--") and word not in options) == []
    assert sorted(word for word in named if not word.startswith(("--", *flags))) == []
    for span in ours:
        for noun, fields in re.findall(r"\b([A-Z]\w+)\(((?:\w+=[, ]*)+)\)", span):
            known = getattr(tilesim, noun).__dataclass_fields__
            assert [field for field in re.findall(r"\w+", fields) if field not in known] == [], span
        for public in re.findall(r"\btilesim\.(\w+)", span):
            assert hasattr(tilesim, public), span


def test_pages_have_the_commands_of_their_pictures():
    scope = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
    for name, (page, written) in scope["PICTURES"].items():
        lines = scope["commands"]((ROOT / "docs" / page).read_text(), f"({name}.png)").splitlines()
        assert lines[0].startswith("tilesim example input") and written in " ".join(lines)
        assert (ROOT / "docs" / f"{name}.png").stat().st_size < 150_000
