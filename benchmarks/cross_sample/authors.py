"""The package of the authors of AESTETIK, in its own environment, on the features that are its input here."""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from anndata import AnnData
from sklearn.neighbors import NearestNeighbors

from benchmarks.common.aestetik import IMAGE
from benchmarks.common.processes import module_command, module_environment
from benchmarks.common.reading import Section
from benchmarks.common.registry import AESTETIK_PEER, PEERS
from benchmarks.common.representations import components, run_harmony

AUTHORS = PEERS[AESTETIK_PEER].title
#: Columns of each modality that it takes by its own preprocessing.
N_FEATURES = 15


def authors(section: Section, seed: int, *, python: str) -> np.ndarray:
    """Embedding of the authors' package, of features that Harmony has corrected where there are several samples.

    Parameters
    ----------
    section
        Spots on square lattices, with an image in ``obsm["X_image"]`` or without.
    seed
        Seed of the correction and of the package.
    python
        Python of an environment that has the package.

    Returns
    -------
    ``(n_spots, n_dimensions)``.
    """
    positions = section.adata.obsm["spatial"]
    adata = AnnData(obs=section.adata.obs[[section.slice_key]].copy())
    adata.obsm["X_pca_transcriptomics"] = run_harmony(components(section, seed), section, seed)[:, :N_FEATURES]
    # Without an image it gets features without variance.
    image = section.adata.obsm[IMAGE] if IMAGE in section.adata.obsm else np.zeros((adata.n_obs, 2))
    adata.obsm["X_pca_morphology"] = image - image.mean(axis=0)
    adata.obs["sample"] = section.slices
    adata.obs[["x_array", "y_array"]] = lattice_sites(positions, section.slices)
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "given.h5ad", Path(folder) / "out.npy"
        adata.write_h5ad(given)
        command = module_command(f"peers.{AESTETIK_PEER}", given, out, section.n_domains, seed, python=python)
        # It leaves files where it is started.
        subprocess.run(command, check=True, cwd=folder, env=os.environ | module_environment())
        return np.load(out)


def lattice_sites(positions: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Whole numbers of the sites of square lattices that lie along the axes, up to jitter. ``(n_spots, 2)``."""
    sites = np.zeros((len(positions), 2), dtype=int)
    for name in np.unique(slices):
        rows = np.flatnonzero(slices == name)
        places = positions[rows]
        neighbors = NearestNeighbors(n_neighbors=4).fit(places).kneighbors(return_distance=False)
        steps = np.abs(places[neighbors] - places[:, None]).reshape(-1, 2)
        for axis in range(2):
            # Neighbours in a row lie one step apart in it, all others none or more.
            size = np.median(steps[:, axis][steps[:, axis] > steps[:, 1 - axis]])
            along = places[:, axis] - places[:, axis].min()
            for _ in range(5):
                # A step that is a little wrong adds up over the section.
                numbers = np.round(along / size)
                size, offset = np.polyfit(numbers, along, 1)
                along = along - offset
            sites[rows, axis] = np.round(along / size)
    return sites
