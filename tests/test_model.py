"""The nouns: values that compare, travel and round-trip."""

import dataclasses
import pickle

import numpy as np
import pytest

from tilesim.errors import InputError
from tilesim.model import Beam, Crystal, Detector, Experiment, Panel, PixelMask, Sampling, StructureFactors


@pytest.fixture
def experiment():
    panel = Panel((0.0, 0.0, 0.1), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), 1e-4, (4, 5), 0.1)
    return Experiment(
        Beam((0.0, 0.0, 1.0), 1e-10),
        Crystal((1e-9, 0.0, 0.0), (0.0, 1e-9, 0.0), (0.0, 0.0, 1e-9)),
        Detector((panel,)),
        StructureFactors(np.arange(8.0).reshape(2, 2, 2), (-1, 0, 0)),
        mask=PixelMask(np.eye(4, 5)),
    )


def test_an_experiment_survives_dict_and_pickle(experiment):
    plain = experiment.to_dict()
    assert Experiment.from_dict(plain, experiment.factors, experiment.mask) == experiment
    copy = pickle.loads(pickle.dumps(experiment))
    assert copy == experiment
    assert copy.digest == experiment.digest


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Experiment)])
def test_equality_and_digest_fail_when_any_field_changes(experiment, field):
    other = {
        "beam": dataclasses.replace(experiment.beam, fluence=1.0),
        "crystal": dataclasses.replace(experiment.crystal, cells=(1, 2, 1)),
        "detector": Detector((dataclasses.replace(experiment.detector.panels[0], pixel_size=2e-4),)),
        "factors": StructureFactors.constant(7.0),
        "scan": dataclasses.replace(experiment.scan, start=0.1),
        "sampling": Sampling(oversample=2),
        "water_size": 1e-6,
        "mask": None,
    }[field]
    changed = experiment.replace(**{field: other})
    assert changed != experiment
    assert changed.digest != experiment.digest


def test_rebuilding_with_another_table_is_refused(experiment):
    with pytest.raises(InputError, match="factors"):
        Experiment.from_dict(experiment.to_dict(), StructureFactors.constant(1.0), experiment.mask)


def test_flat_cells_and_empty_panels_are_refused():
    with pytest.raises(InputError, match="one plane"):
        Crystal((1e-9, 0.0, 0.0), (0.0, 1e-9, 0.0), (1e-9, 1e-9, 0.0))
    with pytest.raises(InputError, match="pixels"):
        Panel((0.0, 0.0, 0.1), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), 1e-4, (0, 5), 0.1)
    with pytest.raises(InputError, match="pixel size"):
        Panel((0.0, 0.0, 0.1), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), float("nan"), (4, 5), 0.1)
