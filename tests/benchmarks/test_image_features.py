"""The benchmark of image features, on a few tiles."""

import sys
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

# The benchmarks are programs that lie beside each other, not a package.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import image_features

from spotscape.pp.image._handcrafted import NUCLEI_NAMES, nuclei_features


def test_every_group_is_timed(tmp_path, capsys):
    tiles = image_features.synthetic_tiles(4, 32)
    table = image_features.time_per_tile(tiles, 1)
    assert (table["ms per tile"] > 0).all() and table["share of all"]["all"] == 1
    AnnData(np.ones((4, 1), dtype=np.float32), obsm={"patches": tiles}).write_h5ad(tmp_path / "a.h5ad")
    assert image_features.main([str(tmp_path / "a.h5ad"), "--patches-key", "patches", "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in table.index)


def test_drawn_tiles_have_nuclei():
    tiles = image_features.synthetic_tiles(3, 64)
    groups = image_features.feature_groups(tiles)
    number = groups["nuclei"]()[:, NUCLEI_NAMES.index("number of nuclei")]
    assert (number > 5).all() and (number <= 30).all()
    assert nuclei_features(np.zeros((1, 64, 64), dtype=np.uint8))[0, 0] == 0


@pytest.mark.parametrize("arguments", [["a.h5ad"], ["--patches-key", "x"], ["--tiles", "0"]])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(SystemExit):
        image_features.main(arguments)
