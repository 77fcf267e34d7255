"""A store through any life: killed runs, damage, repair, replacement, pyramids; what it says is always true."""

import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from stores import STATISTICS, chunk_of, make_image, start, verified

from tilesim.errors import StoreError
from tilesim.store import levels
from tilesim.store.finish import finish_store
from tilesim.store.levels import levels_there, open_level
from tilesim.store.store import Store
from tilesim.tiling.plan import TilePlan
from tilesim.tools.pyramid import build_pyramid

PLAN = TilePlan((2, 40, 33), (20, 20))
IMAGE = make_image(PLAN.shape)
TILES = st.integers(0, len(PLAN) - 1)
FACTOR = 2


def means(image):
    """Means of 2 x 2 pixels of (slow, fast), of those that are there at the edges."""
    padded = np.pad(image.astype(np.float64), [(0, n % FACTOR) for n in image.shape], constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // FACTOR, FACTOR, -1, FACTOR)
    return np.nanmean(blocks, axis=(1, 3)).astype(np.float32)


class StoreMachine(RuleBasedStateMachine):
    """`tiles` holds what is true of each tile that has an object: sound or damaged; `status` what was promised."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "a.zarr"
        self.small = mock.patch.object(levels, "SMALL", 16)
        self.small.start()
        self.status, self.tiles = None, {}

    def teardown(self):
        if hasattr(self, "folder"):
            self.small.stop()
            shutil.rmtree(self.folder)

    @property
    def unsound(self):
        return [n for n in range(len(PLAN)) if self.tiles.get(n) != "sound"]

    # --- runs

    @rule(count=st.integers(0, len(PLAN)), ends=st.sampled_from(["finished", "killed", "killed in a tile"]))
    def run(self, count, ends):
        """A run with --resume that computes so many of the tiles that cannot be read, and then ends in some way."""
        store = start(self.path, PLAN, resume=True)
        self.status = self.status or "incomplete"
        for number in self.unsound[:count]:
            assert store.read(PLAN[number]) is None
            store.write(PLAN[number], IMAGE[PLAN.index(PLAN[number])])
            self.tiles[number] = "sound"
        if ends == "killed in a tile":
            chunk = chunk_of(self.path, PLAN, len(PLAN) - 1)
            chunk.parent.mkdir(parents=True, exist_ok=True)
            chunk.with_name(f"{chunk.name}.1234.partial").write_bytes(b"half")
        if ends == "finished":
            left = [{"frame": PLAN[n].frame, "what": str(PLAN[n]), "why": "a test"} for n in self.unsound]
            finish_store(store, None if left else STATISTICS, missing=left)
            self.status = "incomplete" if left else "complete"

    @precondition(lambda self: self.status)
    @rule()
    def overwrite(self):
        start(self.path, PLAN, overwrite=True)
        self.status, self.tiles = "incomplete", {}

    @precondition(lambda self: self.status)
    @rule(options=st.sampled_from([{}, {"resume": True}]))
    def another_job(self, options):
        """It is refused, and harms nothing."""
        with pytest.raises(StoreError):
            start(self.path, PLAN, wavelength=2e-10, **options)

    @precondition(lambda self: self.status == "complete")
    @rule()
    def finish_without_tiles(self):
        """A store whose tiles are not all there does not become complete by being said to be."""
        store = Store.open(self.path)
        if len(self.tiles) < len(PLAN):
            with pytest.raises(StoreError, match="is not complete"):
                finish_store(store, STATISTICS)

    # --- damage

    @precondition(lambda self: self.tiles)
    @rule(number=TILES)
    def lose_a_tile(self, number):
        if self.tiles.pop(number, None):
            chunk_of(self.path, PLAN, number).unlink()

    @precondition(lambda self: self.tiles)
    @rule(number=TILES)
    def damage_a_tile(self, number):
        if self.tiles.get(number) == "sound":
            chunk = chunk_of(self.path, PLAN, number)
            data = bytearray(chunk.read_bytes())
            data[len(data) // 2] ^= 1
            chunk.write_bytes(data)
            self.tiles[number] = "damaged"

    # --- pyramids

    @precondition(lambda self: self.status)
    @rule()
    def build_levels(self):
        if "damaged" in self.tiles.values():
            with pytest.raises(StoreError):
                build_pyramid(self.path, overwrite=True)
            return
        built = build_pyramid(self.path, overwrite=True)
        assert len(built.levels) == 2 and built.missing == len(self.unsound)

    # --- what is always true

    @invariant()
    def what_it_says_is_true(self):
        if not getattr(self, "status", None):
            return
        found = verified(self.path)
        assert found.status == self.status
        assert found.damaged == tuple(PLAN[n] for n in self.unsound if n in self.tiles)
        assert found.missing == tuple(PLAN[n] for n in self.unsound if n not in self.tiles)
        assert found.intact == (self.status == "complete" and not self.unsound)
        store = Store.open(self.path)
        for number, state in self.tiles.items():
            values = store.read(PLAN[number])
            if state == "damaged":
                assert values is None
            else:
                np.testing.assert_array_equal(values, IMAGE[PLAN.index(PLAN[number])])

    @invariant()
    def levels_are_those_of_the_image(self):
        if getattr(self, "status", None) != "complete":
            return
        store = Store.open(self.path)
        for level in levels_there(store)[1:2]:
            found = open_level(store, level)[...]
            # Of tiles that were lost or damaged since, and will be the same again.
            np.testing.assert_array_equal(found, [means(frame) for frame in IMAGE])


StoreMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=12, deadline=None, derandomize=True)
TestStore = StoreMachine.TestCase
