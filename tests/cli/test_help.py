"""Help and the progress bar: what they say, and that they fit."""

import os
import pty
import re
import shlex
import signal
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import click
import models
import pytest
from commands import BASE, CRYSTAL, LIMIT

import tilesim_cli.program
from tilesim.nanobragg.options import Options
from tilesim.series.progress import Pace, _clock, progress, waiting
from tilesim_cli import pyramid
from tilesim_cli.groups import FIRST, GROUPS
from tilesim_cli.launch import wrote
from tilesim_cli.plan import readable_bytes
from tilesim_cli.program import COMMANDS
from tilesim_cli.run import command as run
from tilesim_cli.run import series_lines


@pytest.mark.parametrize("command", [(), ("run",), ("plan",), ("info",), ("example",)])
def test_the_short_form_of_help(tilesim, command):
    short, long = tilesim(*command, "-h"), tilesim(*command, "--help")
    assert short.status == long.status == 0
    assert short.out == long.out and short.out.startswith("Usage: ")


def test_among_flags_the_short_form_is_not_help(tilesim):
    assert "Usage" not in tilesim("run", *BASE, "-h", "--quiet", "-floatfile", "f.bin").out


@pytest.mark.parametrize("command", ["run", "plan"])
def test_examples_and_exit_statuses_come_first_and_idle_flags_last(tilesim, command):
    text = tilesim(command, "--help").out
    order = ("Examples:", "Exit status:", "\nOptions that matter most:", "\nOutput:", "\nWhere it runs:")
    order += ("\nWhat is simulated: series", "\nNumerics:", "nanoBragg flags: crystal")
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert text.count(f"\n  tilesim {command} -") == 4
    for line in ("\n  0 ", "\n  1 ", "\n  2 ", "\n  130, 143 "):
        assert places[1] < text.index(line) < places[2]
    before, _, after = text.partition("nanoBragg flags without effect")
    assert "no effect" not in before and "-stol FILE" in before
    assert after.count("no effect") == 10 and "-stolout FILE" in after and "nanoBragg flags" not in after


def test_twenty_options_are_first_and_every_option_of_run_has_a_subject(tilesim):
    text = tilesim("run", "--help").out
    first = text.partition("Options that matter most:\n")[2].partition("\n\n")[0]
    assert len(FIRST) == 20 and len(re.findall(r"^  -", first, re.MULTILINE)) == 20
    options = ["-h", *(parameter.opts[0] for parameter in run.params)]  # click keeps the help of an earlier context
    assert sorted(options) == sorted(name for names in GROUPS.values() for name in names)


def test_every_option_of_an_experiment_is_one_of_run():
    assert {field.name for field in fields(Options)} <= {parameter.name for parameter in run.params}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_it_reads(name):
    command = tilesim_cli.program.tilesim.get_command(click.Context(tilesim_cli.program.tilesim), name)
    assert command.examples
    for example in command.examples:
        words = shlex.split(re.sub(r" [>|].*| \.\.\..*", "", example))
        assert command.make_context(name, words).command is command


def test_help_of_a_command_is_what_the_command_says(tilesim):
    assert tilesim("help", "noise").out == tilesim("noise", "--help").out != ""
    assert tilesim("help").out == tilesim("--help").out
    wrong = tilesim("help", "nose")
    assert wrong.status == 2 and "nose" in wrong.err and wrong.err.count("\n") == 1


def test_pages_are_printed_by_the_names_that_messages_have_for_them(tilesim):
    text = Path(tilesim_cli.__file__).parents[1].joinpath("docs", "spectra.md").read_text()
    for name in ("docs/spectra.md", "docs/spectra.md#from-python", "spectra.md", "spectra"):
        assert tilesim("help", name).out == text
    assert tilesim("help", "docs/noise.md").out.startswith("# Noise")
    assert "docs/spectra.md " in tilesim("help", "docs").out
    for name in ("docs/../README.md", "docs/nothing.md", "README.md"):
        wrong = tilesim("help", name)
        assert wrong.status == 2 and "`tilesim help docs` lists" in wrong.err


def test_the_examples_run(tilesim, made, folder):
    models.write_pdb(folder / "model.pdb")
    text = tilesim("run", "--help").out
    examples = [line.split()[2:] for line in text.splitlines() if line.startswith("  tilesim run -")]
    assert len(examples) == 4
    for words in examples:
        result = tilesim("run", *words, "-detpixels", "12", "-oversample", "1")
        assert result.status == 0
        assert set(word for word in words if word.startswith("out.")) <= set(made())


@pytest.mark.parametrize(
    "seconds, text",
    [(None, "-:--"), (-1, "0:00"), (5.9, "0:05"), (754, "12:34"), (3600, "1:00:00"), (36061, "10:01:01")],
)
def test_clocks_have_hours_when_there_are_any(seconds, text):
    assert _clock(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    """`clock.now` is the time that progress sees."""
    found = SimpleNamespace(now=0.0)
    monkeypatch.setattr("tilesim.series.progress.perf_counter", lambda: found.now)
    return found


RESTORED, COMPUTED, FAILED = SimpleNamespace(restored=True), SimpleNamespace(restored=False), SimpleNamespace()


def test_rate_and_time_left_are_those_of_computed_tiles(clock):
    pace = Pace(10, 40_000_000, "steps")
    for _ in range(4):
        clock.now += 0.25
        pace.add(RESTORED)
    assert (pace.done, pace.rate, pace.left) == (4, "", None)
    for report, rate, left in ((COMPUTED, "2.0 M steps/s", 10.0), (FAILED, "2.0 M steps/s", 8.0)):
        clock.now += 2.0
        pace.add(report)
        assert (pace.rate, pace.left) == (rate, left)


def test_tiles_read_back_between_computed_ones_are_not_waited_for_in_vain(clock):
    pace = Pace(5, 20_000_000, "steps")
    for report in (COMPUTED, RESTORED, RESTORED, COMPUTED):
        clock.now += 4.0 * (report is COMPUTED)
        pace.add(report)
    assert (pace.rate, pace.left) == ("1.0 M steps/s", 4.0)
    pace.add(RESTORED)
    assert pace.left == 0.0


def test_lines_of_a_resumed_run_tell_read_from_computed(clock, capsys):
    with progress(10, 10_000_000, True) as advance:
        for report in [RESTORED] * 8 + [COMPUTED] * 2:
            clock.now += 1.0
            advance(report)
    lines = capsys.readouterr().err.splitlines()
    assert lines[7] == "80% done (8 of 10 tiles, all read back)"
    assert lines[8] == "90% done (9 of 10 tiles, 1.0 M steps/s, left 0:01)"


def test_the_bar_of_a_resumed_run_shows_no_rate_of_what_was_read(clock, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress(4, 4_000_000, True) as advance:
        for report in (RESTORED, RESTORED, COMPUTED):
            clock.now += 3.0
            advance(report)
    last = bars(capsys.readouterr().err)[-1]
    assert "3/4 tiles" in last and "0.3 M steps/s" in last and last.rstrip().endswith("left 0:03")


def test_the_rate_is_that_of_the_last_minute(clock):
    pace = Pace(1000, 1000_000_000, "steps")
    for seconds, count in ((10.0, 20), (1.0, 100)):  # nine more workers have come
        for _ in range(count):
            clock.now += seconds
            pace.add(COMPUTED)
    assert pace.rate == "1.0 M steps/s" and pace.left == pytest.approx(880.0, rel=0.02)


def test_the_rate_falls_where_nothing_comes_for_longer_than_ever(clock):
    pace = Pace(20, 20_000_000, "steps")
    for _ in range(5):
        clock.now += 2.0
        pace.add(COMPUTED)
    clock.now += 2.0  # as long as it may take
    assert (pace.rate, pace.left) == ("0.5 M steps/s", 30.0)
    clock.now += 10.0
    assert (pace.rate, pace.left) == ("0.2 M steps/s", 60.0)


def test_tiles_count_with_their_own_work(clock):
    pace = Pace(3, 12_000_000, "steps", lambda report: report.steps)
    for steps, left in ((1_000_000, 11.0), (1_000_000, 10.0), (10_000_000, 0.0)):
        clock.now += steps / 1e6
        pace.add(SimpleNamespace(steps=steps))
        assert (pace.rate, pace.left) == ("1.0 M steps/s", left)
    pace = Pace(2, 2_000_001, "steps", lambda report: report.steps)
    clock.now += 1.0
    pace.add(SimpleNamespace(steps=1))
    assert pace.left is None  # all of the second was the start


def test_the_bar_has_a_line_on_who_computes(clock, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    said = ["4 workers"]
    with progress(2, 2_000_000, True, crew=lambda: said[-1]) as advance:
        advance(COMPUTED)
        said.append("3 workers, 1 lost")
        advance(COMPUTED)
    drawn = capsys.readouterr().err
    assert "on 4 workers" in drawn and drawn.removesuffix("\x1b[?25h").endswith("on 3 workers, 1 lost\n")


def test_lines_say_who_computes(clock, capsys):
    with progress(1, 1_000_000, True, crew=lambda: "2 workers") as advance:
        clock.now += 1.0
        advance(COMPUTED)
    assert capsys.readouterr().err == "100% done (1 of 1 tiles, 1.0 M steps/s, left 0:00, 2 workers)\n"


def test_what_is_waited_for_is_shown_on_a_terminal_and_goes(monkeypatch, capsys):
    with waiting("starting 4 workers", True):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with waiting("starting 4 workers", True):
        pass
    assert "starting 4 workers" in capsys.readouterr().err


def test_two_hundred_frames_are_one_line():
    figures = SimpleNamespace(max_I=3.0, mean=0.5, total=10.0)
    frames = [SimpleNamespace(frame=SimpleNamespace(number=k, name=""), summary=figures) for k in range(200)]
    assert len(series_lines(frames[:20])) == 20
    assert series_lines(frames) == ("200 frames: max 3, 10 photons each on average; --json and the store list each",)
    assert wrote([f"{k}.img" for k in range(200)]) == ["wrote 200 files: 0.img to 199.img"]
    assert wrote(["s.zarr", *(f"{k}.{kind}" for k in range(20) for kind in ("bin", "png"))]) == [
        "wrote s.zarr",
        "wrote 20 files: 0.bin to 19.bin",
        "wrote 20 files: 0.png to 19.png",
    ]


def test_one_level_of_a_pyramid_is_one():
    built = SimpleNamespace(levels=[SimpleNamespace(shape=(20, 10))], kept=False)
    assert pyramid.lines("z.zarr", built) == ["z.zarr: got 1 coarser level, 20 x 10 (slow, fast)"]


@pytest.mark.parametrize(
    "size, text",
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (12_345, "12 kB"), (3.4e9, "3.4 GB"), (2e16, "20000 TB")],
)
def test_bytes_as_people_say_them(size, text):
    assert readable_bytes(size) == text


def bars(drawn: str) -> list[str]:
    """The lines of a terminal on which the bar was drawn."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    return [line for line in re.split(r"[\r\n]+", plain) if line.startswith("simulating")]


def test_the_bar_leaves_room_for_the_echo_of_an_interrupt(process):
    """A terminal of 80 columns: the drawn lines are shorter, so that ^C does not wrap."""
    import fcntl
    import struct
    import termios

    parent, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    long = (*CRYSTAL, *"-N 3 -pixel 1 -detpixels 64 -oversample 60 -mosaic 1 -mosaic_domains 999 --tile 8".split())
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    child = process("run", *long, "-floatfile", "f.bin", stderr=terminal, env=environment)
    os.close(terminal)
    os.set_blocking(parent, False)
    drawn, end, sent = b"", time.monotonic() + LIMIT, False
    while time.monotonic() < end:
        try:
            piece = os.read(parent, 65536)
        except BlockingIOError:
            time.sleep(0.02)
            continue
        except OSError:
            break
        if not piece:
            break
        drawn += piece
        if not sent and b"steps/s" in drawn:
            child.send_signal(signal.SIGINT)
            sent = True
    os.close(parent)
    assert child.wait(timeout=LIMIT) == 130
    lines = bars(drawn.decode())
    assert lines and max(map(len, lines)) <= 80 - 5
    assert "tiles" in lines[-1] and " left " in lines[-1]
