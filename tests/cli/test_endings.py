"""What the program says of its outputs when Ctrl-C comes late, or twice."""

import pytest
from commands import BASE

from tilesim_cli.complaint import with_notes
from tilesim_cli.launch import telling_when_done


def test_a_second_interrupt_does_not_hide_what_is_kept():
    with pytest.raises(KeyboardInterrupt) as caught:
        try:
            first = KeyboardInterrupt()
            first.add_note("3 of 9 tiles are kept")
            raise first
        finally:
            raise KeyboardInterrupt
    assert with_notes("interrupted", caught.value, "nothing was written") == "interrupted; 3 of 9 tiles are kept"


def test_only_what_is_done_is_called_written():
    for finish, expected in ((True, ["everything was written before"]), (False, [])):
        with pytest.raises(KeyboardInterrupt) as caught, telling_when_done() as done:
            if finish:
                done()
            raise KeyboardInterrupt
        assert getattr(caught.value, "__notes__", []) == expected


def test_an_interrupt_after_the_last_file_says_that_all_is_there(tilesim, made, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tilesim.series.launch.connected", lambda *_: Closing(interrupted))
    result = tilesim("run", *BASE, "-floatfile", "f.bin", "--quiet")
    assert result.status == 130 and "everything was written" in result.err
    assert made() == ["f.bin"]


class Closing:
    """No workers, and an end that does not go well."""

    def __init__(self, end):
        self.end = end

    def __enter__(self):
        return None

    def __exit__(self, *_):
        self.end()
