"""Settings of the libraries underneath that decide what files hold: the program's own, whatever else uses them here.

The rest is the user's: how much zarr does at a time, where dask keeps its scratch files, what memory workers may use.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

# As zarr has them by default. The environment has precedence over its files (~/.config/zarr), and workers inherit it.
ZARR = {
    "ZARR_DEFAULT_ZARR_FORMAT": "3",
    "ZARR_JSON_INDENT": "2",
    "ZARR_ARRAY__ORDER": "C",
    "ZARR_BUFFER": "zarr.buffer.cpu.Buffer",
    "ZARR_NDBUFFER": "zarr.buffer.cpu.NDBuffer",
    "ZARR_CODEC_PIPELINE__PATH": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "ZARR_CODECS__BLOSC": "zarr.codecs.blosc.BloscCodec",
    "ZARR_CODECS__ZSTD": "zarr.codecs.zstd.ZstdCodec",
    "ZARR_CODECS__BYTES": "zarr.codecs.bytes.BytesCodec",
    "ZARR_CODECS__CRC32C": "zarr.codecs.crc32c_.Crc32cCodec",
    "ZARR_CODECS__SHARDING_INDEXED": "zarr.codecs.sharding.ShardingCodec",
}
# What zarr takes as it is: another would end in the middle of a run, or wait for ever.
AT_A_TIME = ("ZARR_ASYNC__CONCURRENCY", "ZARR_THREADING__MAX_WORKERS")
# Pictures are drawn without a window.
MATPLOTLIB = {"MPLBACKEND": "agg"}
# Unless the user says otherwise: matrices are small here, and numpy's threads wait busily from its import on.
BLAS = {"OPENBLAS_NUM_THREADS": "1"}


def settle() -> None:
    """Make the settings the program's own, before any of the libraries is imported."""
    os.environ.update(BLAS | os.environ | ZARR | MATPLOTLIB)
    # What standard output cannot print is escaped: a name need not end a run.
    with suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="backslashreplace")


def check_settings() -> None:
    """Check the settings that are the user's: raise InputError, PlanError for one that nothing could run with."""
    from tilesim.errors import InputError

    for name in AT_A_TIME:
        text = os.environ.get(name, "None").strip()
        if text != "None" and not (text.isdecimal() and int(text) > 0):
            raise InputError(f"the environment has {name}={text}; expected a whole number of at least 1")
    if os.environ.get("TILESIM_LEVEL"):
        from tilesim.kernels.levels import asked_level

        asked_level()
