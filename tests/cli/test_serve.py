"""Commands that `tilesim serve` runs for others: as if they had run by themselves."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from commands import BASE, CRYSTAL, LIMIT, MATRIX, REFLECTIONS

WITHOUT_NUMPY = "import sys; sys.modules['numpy'] = None; from tilesim_cli.main import main; main()"
"""What only a server can run."""
LONG = (*CRYSTAL, *"-N 3 -pixel 1 -detpixels 64 -oversample 10 -mosaic 1 -mosaic_domains 9000 --tile 16".split())
PLAIN = {name: value for name, value in os.environ.items() if name != "TILESIM_SERVER"}


def until(what):
    """Wait until `what()` is true."""
    end = time.monotonic() + LIMIT
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def serving(path, *words):
    """A server, which has said that it is there."""
    command = [sys.executable, "-m", "tilesim", "serve", path, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=PLAIN, start_new_session=True) as child:
        try:
            assert child.stderr.readline() == f"tilesim: serving at {path}, process {child.pid}\n"
            yield child
        finally:
            child.terminate()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server for all tests."""
    path = str(tmp_path_factory.mktemp("server") / "socket")
    with serving(path) as child:
        child.path = path
        yield child


@pytest.fixture
def there(tmp_path):
    """A folder with input."""
    (tmp_path / "A.mat").write_text(MATRIX)
    (tmp_path / "P1.hkl").write_text(REFLECTIONS)
    return tmp_path


def begin(server, there, *words, code=WITHOUT_NUMPY, **options):
    """A command that the server is to run, in the folder `there`."""
    environment = {**PLAIN, "TILESIM_SERVER": server if isinstance(server, str) else server.path}
    environment |= options.pop("env", {})
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    # As in a shell, whoever runs the tests: in the background of a script SIGINT is ignored.
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {code}"
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=there, env=environment, **options)


def ended(child):
    """Status, standard output and standard error."""
    out, err = child.communicate(timeout=LIMIT)
    return child.returncode, out, err


def attendants(server) -> list[int]:
    """Processes that wait for a command of a client."""
    return [int(n) for n in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def computing(server, there, *words):
    """A long command, for whose image there is space already."""
    child = begin(server, there, *words, "--quiet", start_new_session=True)

    def begun():
        with suppress(FileNotFoundError):
            return any(path.stat().st_size for path in there.glob(".tilesim-*"))

    until(lambda: child.poll() is not None or begun())
    assert child.poll() is None, ended(child)
    return child


def test_a_command_does_there_what_it_does_here(server, there):
    words, name = ["run", *BASE, "-noprogress", "-floatfile"], b"\xff .bin"
    command = [sys.executable, "-m", "tilesim", *words, "here.bin"]
    here = subprocess.run(command, cwd=there, env=PLAIN, capture_output=True)
    status, out, err = ended(begin(server, there, *words, name, umask=0o027, env={"OMP_NUM_THREADS": "1"}))
    assert (status, err) == (0, here.stderr)
    assert out.replace(b"\\udcff ", b"here") == here.stdout
    written = os.path.join(os.fsencode(there), name)
    assert Path(os.fsdecode(written)).read_bytes() == (there / "here.bin").read_bytes()
    assert stat.S_IMODE(os.stat(written).st_mode) == 0o640


@pytest.mark.parametrize("words", [("run", "-distance", "ten"), ("frobnicate",), ("info", "none.zarr")])
def test_errors_are_the_same(server, there, words):
    here = subprocess.run([sys.executable, "-m", "tilesim", *words], cwd=there, env=PLAIN, capture_output=True)
    assert ended(begin(server, there, *words)) == (here.returncode, here.stdout, here.stderr) and here.returncode == 2


def test_standard_input_and_a_closed_pipe_are_the_clients(server, there):
    words = ["run", *BASE, "-hkl", "/dev/stdin", "-floatfile", "f.bin", "--quiet"]
    child = begin(server, there, *words, stdin=subprocess.PIPE)
    child.stdin.write(REFLECTIONS.encode())
    assert ended(child)[0] == 0 and (there / "f.bin").stat().st_size == 4 * 144
    child = begin(server, there, "run", "--help")
    child.stdout.close()
    assert child.wait(timeout=LIMIT) == 1 and child.stderr.read() == b""
    child.stderr.close()


def test_the_clients_limits_hold(server, there):
    import resource

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    child = begin(server, there, "run", *BASE, "-floatfile", "f.bin", "--quiet", preexec_fn=limited)
    assert ended(child) == (2, b"", b"tilesim: cannot write f.bin: File too large\n")


OWN = "from tilesim_cli.main import main; main()"


@pytest.mark.parametrize("changed", [{"LC_ALL": "C.UTF-8"}, {"PYTHONHASHSEED": "5"}, {"TILESIM_SERVER": "/nowhere"}])
def test_where_the_server_would_do_something_else_the_command_runs_by_itself(server, there, changed):
    words = ("run", *BASE, "-floatfile", "f.bin", "--quiet")
    assert ended(begin(server, there, *words, code=OWN, env=changed))[0] == 0
    if "TILESIM_SERVER" not in changed:
        assert server.stderr.readline() == f"tilesim: a command was not taken: other {next(iter(changed))}\n"
    assert ended(begin(server, there, *words, env=changed))[0] == 1  # without numpy
    if "TILESIM_SERVER" not in changed:
        server.stderr.readline()


@pytest.mark.parametrize("sent, status, word", [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_signals_of_the_client_reach_the_command(server, there, sent, status, word):
    child = computing(server, there, "run", *LONG, "-floatfile", "f.bin")
    child.send_signal(getattr(signal, sent))
    code, _, err = ended(child)
    assert code == status and err.decode().splitlines()[-1] == f"tilesim: {word}; nothing was written"
    assert sorted(os.listdir(there)) == ["A.mat", "P1.hkl"]


def test_a_killed_client_leaves_nothing(server, there):
    child = computing(server, there, "run", *LONG, "-floatfile", "f.bin")
    child.kill()
    child.communicate()
    until(lambda: sorted(os.listdir(there)) == ["A.mat", "P1.hkl"])
    until(lambda: not attendants(server))


def test_a_killed_attendant_is_said_and_leaves_nothing(server, there):
    child = computing(server, there, "run", *LONG, "-floatfile", "f.bin")
    [attendant] = attendants(server)
    os.kill(attendant, signal.SIGKILL)
    said = f"tilesim: the server at {server.path} was killed while it ran the command"
    status, _, err = ended(child)
    assert status == 1 and said in err.decode().splitlines()
    until(lambda: sorted(os.listdir(there)) == ["A.mat", "P1.hkl"])


MISUSE = [
    (["none/s.sock"], "none/s.sock: expected a name for a socket; "),
    (["s.sock", "--idle", "nan"], "--idle is nan"),
]


@pytest.mark.parametrize("words, said", MISUSE)
def test_misuse_is_one_line(tmp_path, words, said):
    command = [sys.executable, "-m", "tilesim", "serve", *words]
    done = subprocess.run(command, cwd=tmp_path, env=PLAIN, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith(f"tilesim: {said}")
    assert done.stderr.count("\n") == 1 and os.listdir(tmp_path) == []


def test_the_socket_is_the_users_own_and_goes_with_the_server(tmp_path):
    path = str(tmp_path / "socket")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    with serving(path) as child:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        second = subprocess.run(
            [sys.executable, "-m", "tilesim", "serve", path], env=PLAIN, capture_output=True, text=True
        )
        assert second.returncode == 2 and second.stderr.startswith(f"tilesim: {path}: expected a name for a socket; ")
        child.terminate()
        assert child.communicate(timeout=LIMIT)[1] == "tilesim: terminated; the server has ended\n"
        assert child.returncode == 143 and not os.path.exists(path)
    with serving(path, "--idle", "0.0001") as child:
        assert child.wait(timeout=LIMIT) == 0 and not os.path.exists(path)
