"""Models that earlier versions saved are loaded by every later one, and give the same answers.

A folder of tests/model/saved is made by the version that introduces a format of files, and never made again.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import spotscape as sps

SAVED = sorted(path.parent for path in Path(__file__).parent.glob("saved/*/*/model.pt"))


@pytest.mark.parametrize("folder", SAVED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_saved_models_give_the_same_answers(folder):
    expected = np.load(folder / "expected.npz")
    adata = AnnData(expected["counts"], layers={"counts": expected["counts"]}, obsm={"spatial": expected["spatial"]})
    adata.var_names, adata.obs["slice"] = expected["genes"], expected["slice"]
    model = getattr(sps, folder.name).load(folder, adata=adata)
    # Rounding depends on the processor.
    np.testing.assert_allclose(model.get_latent_representation(), expected["latent"], atol=1e-4)
    if "expression" in expected:
        found = model.get_normalized_expression(return_numpy=True)
        np.testing.assert_allclose(found, expected["expression"], atol=1e-5, rtol=1e-3)
    assert isinstance(model.get_data_findings(), pd.DataFrame)


def test_all_models_have_a_saved_one():
    assert {folder.name for folder in SAVED} == {"SPOTSCAPE", "SEDR", "AESTETIK"}
