"""The door of text files: gzip, marks, pipes, files without an end, numbers that a sign separates."""

import gzip
import logging
import os
import threading

import pytest

from tilesim.errors import InputError
from tilesim.files import reading
from tilesim.files.reading import fields, number, plain_text, read_bytes, read_text


@pytest.mark.parametrize(
    "data",
    [b"1 2\n", b"\xef\xbb\xbf1 2\n", gzip.compress(b"1 2\n"), gzip.compress(b"\xef\xbb\xbf1 ") + gzip.compress(b"2\n")],
)
def test_gzip_and_marks_are_passed_over(tmp_path, data):
    (tmp_path / "f").write_bytes(data)
    assert read_text(tmp_path / "f") == b"1 2\n"


@pytest.mark.parametrize(
    "data, said",
    [
        ("1 2".encode("utf-16"), "found UTF-16 text"),
        (b"BZh91AY", "a file of bzip2"),
        (b"PK\x03\x04", "a zip archive"),
        (gzip.compress(b"1 2\n" * 99)[:-9], "a damaged gzip file"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff", "a damaged gzip file"),
        (b"1 2\n3\0", "line 2: expected text, found a zero byte"),
    ],
)
def test_what_is_no_text_is_named(data, said):
    with pytest.raises(InputError, match=f"^f.*{said}"):
        plain_text(data, "f")


def test_what_a_text_may_hold_is_bounded(monkeypatch):
    monkeypatch.setattr(reading, "MOST", 1000)
    for data in (1001 * b" ", gzip.compress(1001 * b" ")):
        with pytest.raises(InputError, match="expected at most 1000 bytes of text, found more"):
            plain_text(data, "f")
    assert len(plain_text(1000 * b" ", "f")) == 1000


def test_files_without_an_end_are_refused(monkeypatch):
    with pytest.raises(InputError, match="/dev/zero: expected text, found zero bytes"):
        read_bytes("/dev/zero")
    assert read_bytes("/dev/null") == b""
    assert read_bytes("/dev/zero", 0, 5) == bytes(5)
    monkeypatch.setattr(reading, "MOST", 1000)
    read_end, write_end = os.pipe()
    os.write(write_end, 1001 * b"1")
    os.close(write_end)
    with pytest.raises(InputError, match="expected at most 1000 bytes of text, found no end"):
        read_bytes(f"/dev/fd/{read_end}")
    os.close(read_end)


class Heard(logging.Handler):
    """What is logged, and an event for it."""

    def __init__(self):
        super().__init__()
        self.lines, self.event = [], threading.Event()

    def emit(self, record):
        self.lines.append(record.getMessage())
        self.event.set()


def test_a_pipe_without_a_writer_is_waited_for_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "WAITS", 1)
    os.mkfifo(tmp_path / "pipe")
    heard, logger = Heard(), logging.getLogger("tilesim.files.reading")
    logger.addHandler(heard)

    def write():
        heard.event.wait(60)
        (tmp_path / "pipe").write_bytes(b"1 2\n")

    writer = threading.Thread(target=write)
    writer.start()
    assert read_text(tmp_path / "pipe") == b"1 2\n"
    writer.join()
    logger.removeHandler(heard)
    assert heard.lines == [f"waiting for somebody to write to {tmp_path / 'pipe'}"]


@pytest.mark.parametrize(
    "line, expected",
    [
        (b" 1 2\t3 ", [b"1", b"2", b"3"]),
        (b"-0.02-0.10 0.03", [b"-0.02", b"-0.10", b"0.03"]),
        (b"1e-3-2E+4+5.", [b"1e-3", b"-2E+4", b"+5."]),
        (b"-100-100 -20 20.0", [b"-100", b"-100", b"-20", b"20.0"]),
        (b"1-2-x 3", [b"1-2-x", b"3"]),
        (b"5- 1--2", [b"5-", b"1--2"]),
        (b"10012.5 1.5.5", [b"10012.5", b"1.5.5"]),
    ],
)
def test_a_sign_alone_separates_numbers(line, expected):
    assert fields(line) == expected


@pytest.mark.parametrize("field", [b"1_0", "\u0661".encode(), b"\x1c1", b"0x10", b"1e", b"", b"+-1", b"1 2", b"1d3"])
def test_only_decimal_numbers_are_numbers(field):
    with pytest.raises(ValueError):
        number(field)
