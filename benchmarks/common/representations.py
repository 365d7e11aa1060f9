"""Representations of the spots of a section by their expression, each of ``(n_spots, n_dimensions)``.

Every function takes a section and a seed, which those that draw nothing ignore.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import scanpy as sc
import scvi
from anndata import AnnData

import spotscape as sps
from benchmarks.common.floors import N_TOP_GENES, floor_representation, scaled_expression, unscaled_representation
from benchmarks.common.reading import Section
from benchmarks.common.training import train
from spotscape.preprocessing import select_genes


def components(section: Section, seed: int, *, n_hops: int = 0) -> np.ndarray:
    """Principal components of scaled log expression, averaged over a spot and its neighbours ``n_hops`` times."""
    return _components(section, n_hops)


def unscaled_components(section: Section, seed: int, *, n_hops: int) -> np.ndarray:
    """The same of unscaled expression, centred in each slice."""
    return unscaled_representation(section.adata, section.slices, n_hops=n_hops)


def harmony(section: Section, seed: int) -> np.ndarray:
    """Harmony on the principal components."""
    return run_harmony(components(section, seed), section, seed)


def combat(section: Section, seed: int) -> np.ndarray:
    """Principal components of expression corrected by ComBat."""
    scaled = _scaled(section)
    # ComBat divides by the spread within a slice.
    varies = np.all([scaled[section.slices == name].std(axis=0) > 0 for name in np.unique(section.slices)], axis=0)
    adata = AnnData(scaled[:, varies].astype(np.float64), obs=section.adata.obs[[section.slice_key]].copy())
    sc.pp.combat(adata, key=section.slice_key)
    return floor_representation(adata.X, section.adata.obsm["spatial"], slices=section.slices, n_hops=0)


@lru_cache(maxsize=2)
def scvi_latent(section: Section, seed: int) -> np.ndarray:
    """SCVI with its defaults on the counts of the selected genes."""
    codes = section.adata.obs[section.slice_key].cat.codes.to_numpy()
    genes = select_genes(section.adata.X, n_top_genes=N_TOP_GENES, slices=codes)
    adata = section.adata[:, genes].copy()
    scvi.settings.seed = seed
    scvi.model.SCVI.setup_anndata(adata, batch_key=section.slice_key)
    model = scvi.model.SCVI(adata)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


@lru_cache(maxsize=2)
def graph_model(section: Section, seed: int, *, name: str) -> np.ndarray:
    """A model of the package with its defaults; kept, because a correction of it may follow."""
    return trained(section, seed, name=name)


def trained(section: Section, seed: int, *, name: str, **model: Any) -> np.ndarray:
    """A model of the package with other arguments ``model``."""
    keys = {"slice_key": section.slice_key, "size_factor_key": section.size_factor_key}
    return train(name, section.adata.copy(), seed, settings={"model": model}, **keys).get_latent_representation()


def with_harmony(section: Section, seed: int, *, name: str) -> np.ndarray:
    """Harmony on the representation of a model."""
    return run_harmony(graph_model(section, seed, name=name), section, seed)


def centred(section: Section, seed: int, *, name: str) -> np.ndarray:
    """The representation of a model, less the mean of each slice."""
    latent, slices = graph_model(section, seed, name=name), section.slices
    means = {one: latent[slices == one].mean(axis=0) for one in np.unique(slices)}
    return latent - np.stack([means[one] for one in slices])


def run_harmony(values: np.ndarray, section: Section, seed: int) -> np.ndarray:
    """Correct a representation by Harmony; a section of one slice is left as it is."""
    if len(np.unique(section.slices)) < 2:
        return values
    adata = AnnData(obs=section.adata.obs[[section.slice_key]].copy(), obsm={"X_given": values})
    sps.tl.harmony(adata, "X_given", section.slice_key, key_added="corrected", seed=seed)
    return adata.obsm["corrected"]


@lru_cache(maxsize=1)
def _scaled(section: Section) -> np.ndarray:
    return scaled_expression(section.adata, section.size_factor_key, slice_key=section.slice_key)


@lru_cache(maxsize=4)
def _components(section: Section, n_hops: int) -> np.ndarray:
    positions = section.adata.obsm["spatial"]
    return floor_representation(_scaled(section), positions, slices=section.slices, n_hops=n_hops)
