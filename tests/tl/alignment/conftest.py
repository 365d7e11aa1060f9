"""Two slices of one tissue with known correspondence."""

import anndata
import numpy as np
import pandas as pd
import pytest


def rotation(degrees, *, mirrored=False, scale=1.0):
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * matrix @ np.diag([1.0, -1.0 if mirrored else 1.0])


def landscape(positions, rng, noise):
    """A representation that varies smoothly and is different everywhere, with noise."""
    x, y = positions.T / 10
    smooth = np.c_[np.sin(x), np.cos(1.3 * x + 0.4 * y), np.sin(0.9 * y), np.cos(0.5 * x - 1.1 * y), np.sin(x + y)]
    return smooth + noise * rng.normal(size=smooth.shape)


def two_slices(
    matrix, shift=(500.0, -300.0), *, keep=lambda positions: np.ones(len(positions), bool), batch=0.0, noise=0.15
):
    """Reference ``a`` and query ``b``: the same tissue, transformed and measured again, completely or in part."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(27.0), np.arange(20.0))
    places = np.c_[x.ravel() + 0.5 * (y.ravel() % 2), y.ravel()]
    repeated = places[keep(places)]
    slices = np.repeat(["a", "b"], [len(places), len(repeated)])
    data = anndata.AnnData(obs=pd.DataFrame({"slice": slices}, index=[f"spot{i}" for i in range(len(slices))]))
    data.obs["slice"] = data.obs["slice"].astype("category")
    data.obsm["X_spotscape"] = np.r_[landscape(places, rng, noise), landscape(repeated, rng, noise) + batch]
    data.obsm["spatial"] = np.r_[places, repeated @ np.asarray(matrix).T + shift]
    data.uns["truth"] = np.r_[places, repeated]
    return data


@pytest.fixture(autouse=True)
def fewer_proposals(monkeypatch):
    """Try fewer proposals: no two places of the test tissue are similar, so most proposals are good."""
    monkeypatch.setattr("spotscape.tl.alignment._registration.N_PROPOSALS", 50)


@pytest.fixture
def quick(monkeypatch):
    """Refine less in tests that do not depend on an accurate placement."""
    monkeypatch.setattr("spotscape.tl.alignment._registration.N_ROUNDS", 1)
