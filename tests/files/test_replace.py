"""All-or-nothing writing and the errors of the file system."""

import os
import stat
import threading

import pytest

from tilesim.errors import InputError, StoreError
from tilesim.files.replace import all_together, check_writable, replacing


def test_success_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    with replacing(tmp_path / "a") as file:
        file.write(b"x")
    (tmp_path / "b").write_bytes(b"x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, InputError])
def test_failure_leaves_the_old_file(tmp_path, failure):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(failure), replacing(path) as file:
        file.write(b"new")
        raise failure
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_links_are_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_devices_and_pipes_are_written_straight(tmp_path):
    with replacing("/dev/null") as file:
        file.write(b"gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    with replacing(fifo) as file:
        file.write(b"through")
    reader.join()
    assert received == [b"through"] and os.listdir(tmp_path) == ["fifo"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
def test_a_full_disk_is_one_line():
    with (
        pytest.raises(StoreError, match=r"^cannot write /dev/full: No space left on device$"),
        replacing("/dev/full") as f,
    ):
        f.write(b"x")


@pytest.mark.parametrize(
    ("name", "cause"),
    [("no/such/a", "there is no folder .*no/such"), ("", "folder"), ("a\0b", "NUL"), ("file/a", "there is no folder")],
)
def test_bad_targets(tmp_path, name, cause):
    (tmp_path / "file").write_bytes(b"")
    path = str(tmp_path / name) if name else name
    for attempt in (lambda: check_writable(path), lambda: replacing(path).__enter__()):
        with pytest.raises(StoreError, match=rf"^cannot write [^\n]*{cause}"):
            attempt()
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_is_no_target(tmp_path):
    with pytest.raises(StoreError, match="folder"):
        check_writable(tmp_path)


def test_permissions(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StoreError, match="Permission denied"):
        check_writable(tmp_path / "a")
    with pytest.raises(StoreError, match="no permission to write in folder"):
        check_writable(tmp_path / "b")


def test_a_good_target_is_not_created(tmp_path):
    check_writable(tmp_path / "a")
    check_writable("/dev/null")
    assert not os.listdir(tmp_path)


def test_errors_of_other_files_keep_their_name(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"), open("/no/such/file"):
        pass


def test_files_of_a_block_appear_together(tmp_path):
    with all_together():
        for name in ("a", "b"):
            with replacing(tmp_path / name) as file:
                file.write(name.encode())
            assert not (tmp_path / name).exists()
    assert {name: (tmp_path / name).read_text() for name in os.listdir(tmp_path)} == {"a": "a", "b": "b"}


def test_a_block_that_fails_leaves_all_as_it_was(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(StoreError, match="no folder"), all_together():
        with replacing(tmp_path / "a") as file:
            file.write(b"new")
        with replacing(tmp_path / "missing" / "b"):
            pass
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"
    with replacing(tmp_path / "a") as file:
        file.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_the_name_of_a_folder_is_no_file(tmp_path):
    with pytest.raises(StoreError, match="found that of a folder"):
        check_writable(f"{tmp_path}/new/")
