"""Pages of the documentation whose blocks run as they stand, in this process where they can."""

import contextlib
import re
import shlex
import subprocess

from click.testing import CliRunner

from tilesim_cli import program


def blocks_of(page):
    """Language and text of the blocks of a page that are marked `sh` or `python`, in their order."""
    return re.findall(r"^```(sh|python)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def obey(blocks, folder):
    """Run blocks one after the other in a folder, in this process, which has imported what each command would."""
    with contextlib.chdir(folder):
        for kind, code in blocks:
            if kind == "python":
                exec(compile(code, "page", "exec"), {"__name__": "__main__"})
            else:
                _shell(code)


def _shell(block):
    """Run lines of a shell: calls of tilesim, which are the last ones, here, all others in a shell."""
    before, *calls = re.split(r"^tilesim ", block, flags=re.MULTILINE)
    subprocess.run(["sh", "-e", "-c", before], check=True)
    for call in calls:
        done = CliRunner().invoke(program.tilesim, shlex.split(call.replace("\\\n", " ")), catch_exceptions=False)
        assert done.exit_code == 0, done.output
