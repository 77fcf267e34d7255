"""Programs that are run with the flags of another: which words they get, what is said where they fail."""

import os
import sys

import pytest

from tilesim.errors import InputError
from tilesim.tools.programs import Program, find_program, run_program, with_outputs


def python(body):
    words = (sys.executable, "-c", f"import sys; out = sys.argv[sys.argv.index('-floatfile') + 1]\n{body}")
    return Program(words, ("other",))


def test_a_program_runs_and_its_files_are_in_the_folder(tmp_path):
    body = "open(out, 'wb').write(bytes(4)); print('shine'); print('oops', file=sys.stderr); print(sys.argv[1:])"
    ran = run_program(python(body), ["-N", "5"], str(tmp_path), "b", "/else/b.bin", False)
    assert ran.seconds > 0 and os.path.getsize(tmp_path / "b.bin") == 4
    assert (tmp_path / "b.err").read_text() == "oops\n"
    ran.join_logs()
    text = (tmp_path / "b.log").read_text()
    assert text.startswith("shine\n['-N', '5', '-intfile', '/dev/null', '-nopgm', '-nonoise', '-floatfile', ")
    assert text.endswith("oops\n")
    assert ran.command[0] == "other" and ran.command[-2:] == ("-floatfile", "/else/b.bin")


@pytest.mark.parametrize(
    "body, said",
    [
        ("print('ready'); sys.exit('first\\nERROR: no crystal\\nusage')", "failed with status 1: ERROR: no crystal"),
        ("print('on standard output'); sys.exit(9)", "failed with status 9: on standard output"),
        ("import os; os.kill(os.getpid(), 11)", "failed with signal 11: it said nothing"),
        ("pass", "wrote no float file: it said nothing"),
        ("sys.exit('\\x1b[31m' + 'x' * 5000)", "failed with status 1: ..." + "x" * 300),
        ("import os; os.write(2, bytes(range(128, 256)) * 99); sys.exit(4)", "failed with status 4: ..."),
    ],
)
def test_a_program_that_fails_is_named_with_its_last_words(body, said, tmp_path):
    with pytest.raises(InputError) as raised:
        run_program(python(body), [], str(tmp_path), "b", "b.bin", False)
    text = str(raised.value)
    assert text.startswith(f"other {said}") and text.isprintable() and len(text) < 400


def test_a_program_that_cannot_be_run(tmp_path):
    (tmp_path / "b").write_text("no program")
    with pytest.raises(InputError, match="b: there is no such program that can be run"):
        find_program(str(tmp_path / "b"))
    (tmp_path / "b").chmod(0o755)
    with pytest.raises(InputError, match="b cannot be run: Exec format error"):
        run_program(find_program(str(tmp_path / "b")), [], str(tmp_path), "b", "b.bin", False)


def test_a_program_is_a_file_even_with_blanks_in_its_name_or_a_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my nano").write_text("#!/bin/sh\n")
    (tmp_path / "my nano").chmod(0o755)
    assert find_program("./my nano").words == (str(tmp_path / "my nano"),)
    found = find_program("sh -c 'exit 3'")
    assert found.words[1:] == ("-c", "exit 3") and os.path.isabs(found.words[0]) and found.shown[0] == "sh"


def test_the_last_output_flags_are_ours():
    words = with_outputs(["-hkl", "a.hkl", "-floatfile", "mine.bin"], "out.bin", True)
    assert words[4:] == ("-intfile", "/dev/null", "-nopgm", "-nonoise", "-dump", "/dev/null", "-floatfile", "out.bin")


@pytest.mark.parametrize("flags", [["-N", "5", "-misset_seed", "7"], ["-misset_seed", "7", "-nopgm"]])
def test_no_words_are_added_behind_misset_seed_where_three_would_be_angles(flags):
    words = with_outputs(flags, "out.bin", False)
    at = flags.index("-misset_seed")
    assert words[-len(flags[at:]) :] == tuple(flags[at:]) and words[:at] == tuple(flags[:at])
    assert "-floatfile" in words
    # Three follow already.
    longer = ["-misset_seed", "7", "-N", "5"]
    assert with_outputs(longer, "out.bin", False)[:4] == tuple(longer)
