"""What a shell is given for the word at the cursor: behind unfinished options, among nanoBragg's flags, of files."""

import os
import shutil
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from commands import LIMIT

from tilesim_cli.completion import PLACES
from tilesim_cli.program import COMMANDS, COMPLETE
from tilesim_cli.program import tilesim as program

FILES = [("file", "")]


def completed(line: str) -> list[tuple[str, str]]:
    """(kind, word) of every completion of the last word of a line, which ends in a blank where that is empty."""
    *words, last = line.split(" ")
    found = ShellComplete(program, {}, "tilesim", COMPLETE).get_completions(words, last)
    return [(one.type, one.value) for one in found]


def words(line: str) -> list[str]:
    assert all(kind == "plain" for kind, _ in completed(line))
    return [word for _, word in completed(line)]


def test_commands_by_their_beginning():
    assert words("") == list(COMMANDS) and words("pr") == ["preview"]
    assert words("help re") == ["refine", "rerun"]


@pytest.mark.parametrize(
    "line",
    [
        "run -hkl ",
        "run --zarr x --geometry ",
        "run -N 5 -mat ",
        "run --workers -hkl ",
        "run --frames x -floatfile ",
        "plan --model ",
        "noise ",
        "noise in.zarr ",
        "export in.zarr out.cbf --expt ",
        "compare ",
        "compare a.bin ",
        "batch --json ",
        "preview in.bin out.png -- -mat ",
    ],
)
def test_files_behind_what_names_one(line):
    assert completed(line) == FILES


def test_a_value_behind_an_equals_sign_is_a_file_too():
    assert completed("run --zarr=ou") == [("file", "ou")]


@pytest.mark.parametrize("line", ["run ", "run -N ", "run -lambda 1 -distance ", "run --frames ", "run -hkl P1.hkl "])
def test_nothing_where_no_file_is_expected(line):
    assert completed(line) == []


def test_options_and_flags_begin_with_a_dash():
    assert words("run --zarr out.zarr --work") == ["--workers"]
    assert words("run --zarr --work") == ["--workers"]
    assert words("run --quiet -N 5 --qu") == []
    found = words("run -mat A.mat -det")
    assert {"-detpixels", "-detsize", "-detector_rotx"} <= set(found) and not any(w.startswith("--") for w in found)
    assert words("export a.zarr b.img --rou") == ["--round"]
    assert words("noise a.zarr b.img -- -pix") == ["-pix0_vector", "-pixel"]


def test_values_of_options_that_are_known():
    assert words("run --precision d") == ["double"]
    assert words("run --detector eiger") == ["eiger2-16m", "eiger2-4m"]


@pytest.mark.parametrize("shell", PLACES)
def test_each_shell_takes_what_it_is_given(tilesim, shell, folder):
    result = tilesim("completion", shell)
    assert result.status == 0 and f"{COMPLETE}={shell}_complete" in result.out.replace("env ", "")
    if shutil.which(shell):
        (folder / "script").write_text(result.out)
        subprocess.run([shell, "-n", folder / "script"], check=True)


def test_another_shell_is_refused(tilesim):
    result = tilesim("completion", "csh")
    assert result.status == 2 and "csh" in result.err and "bash" in result.err


ASKED = {
    "bash": """
        . ./script
        COMP_WORDS=(tilesim run --precision = do) COMP_CWORD=4
        _tilesim_completion tilesim
        echo "--precision=${COMPREPLY[*]}"
    """,
    "zsh": r"""
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -D -u; . ./script; echo read''y"
        zpty -r shell line '*ready*'
        zpty -n -w shell $'tilesim run --precision=do\t'
        zpty -r shell line '*--precision=double*'
        echo $line
        zpty -d shell
    """,
    "fish": """
        source ./script
        complete -C "tilesim run --precision=do"
    """,
}
"""Scripts that ask a shell to complete `tilesim run --precision=do`, and print what becomes of it."""


@pytest.mark.parametrize("shell", PLACES)
def test_each_shell_completes_a_value_behind_an_equals_sign(tilesim, shell, folder, monkeypatch):
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    (folder / "tilesim").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tilesim_cli.main "$@"\n')
    (folder / "tilesim").chmod(0o755)
    (folder / "script").write_text(tilesim("completion", shell).out)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(folder))
    done = subprocess.run([shell, "-c", ASKED[shell]], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert "--precision=double" in done.stdout, done.stderr


def test_bash_is_answered_as_it_asks(tilesim, monkeypatch):
    monkeypatch.setenv(COMPLETE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "tilesim run --preview out.png --zarr ")
    monkeypatch.setenv("COMP_CWORD", "5")
    assert tilesim().out == "file,\n"


def test_completing_a_command_imports_no_other(monkeypatch):
    def refuse(ctx, name):
        raise AssertionError(name)

    monkeypatch.setattr(type(program), "get_command", refuse)
    assert program.shell_complete(click.Context(program), "ex")[0].value == "example"
