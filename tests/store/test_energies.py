"""Structure factors by photon energy in a store: exactly what was written, each table once, absent where left out."""

import numpy as np
import pytest
from experiments import plain

from tilesim.errors import InputError
from tilesim.model import AnomalousCurve, AnomalousFactors, ChannelFactors, Series, Spectrum, StructureFactors
from tilesim.store.experiments import read_series, write_series

WAVES = [1.0e-10, 1.02e-10, 1.05e-10]
RANDOM = np.random.default_rng(5)
TABLES = {wave: StructureFactors(RANDOM.uniform(0, 9, (3, 4, 5)), (-1, 0, 2), 1.5, 60, "a.mtz") for wave in WAVES}
PARTS = RANDOM.normal(size=(3, 3, 4, 5)) + 1j * RANDOM.normal(size=(3, 3, 4, 5))
CURVES = [AnomalousCurve(name, [11.0, 11.9, 12.5], RANDOM.normal(size=3), [0.1, 0.2, 1 / 3]) for name in ("Fe", "S")]
FACTORS = {
    "channels": ChannelFactors(TABLES),
    "anomalous": AnomalousFactors(PARTS, CURVES, 1.02e-10, (-1, 0, 2), 1.5, 60, "m.pdb"),
}


def stored(series, **options):
    import zarr

    root = zarr.create_group(zarr.storage.MemoryStore())
    write_series(root, series, **options)
    return root, read_series(root, series.numbers)


@pytest.mark.parametrize("kind", FACTORS)
def test_they_are_read_back_as_they_were(kind):
    beam = plain().beam
    spectra = [Spectrum(WAVES, weights) for weights in ([1, 2, 3], [3, 1, 1])]
    base = plain(factors=FACTORS[kind], beam=beam.with_spectrum(spectra[0]))
    root, found = stored(Series(base, spectrum=spectra))
    assert found == Series(base, spectrum=spectra) and found.digest == Series(base, spectrum=spectra).digest
    one = found[1].factors
    assert type(one) is type(FACTORS[kind]) and one.to_dict() == FACTORS[kind].to_dict()
    for wave in WAVES:
        np.testing.assert_array_equal(one.at(wave), FACTORS[kind].at(wave))
    assert len(list(root["experiments/factors"])) == 1
    _, without = stored(Series(base), tables=False)
    assert without[0] == base
    with pytest.raises(InputError, match="does not hold the structure factors"):
        without[0].factors.at(WAVES[0])


def test_a_column_that_is_gone_is_no_column_of_zeros():
    import zarr

    store = zarr.storage.MemoryStore()
    series = Series(plain(), scan_start=[1.0, 2.0, 3.0])
    write_series(zarr.create_group(store), series)
    assert read_series(zarr.open_group(store), series.numbers) == series
    [chunk] = [name for name in store._store_dict if "scan_start/c/" in name]
    del store._store_dict[chunk]
    with pytest.raises(InputError, match=r"columns/scan_start is damaged: 1 of 1 chunks are gone"):
        read_series(zarr.open_group(store), series.numbers)
