"""Representations of several slices: of other packages, and of the models."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import scanpy as sc
import scvi
from _floors import N_TOP_GENES, floor_representation, scaled_expression
from _integration_cases import Case, load_case
from _sections import Keys, Section
from _variants import MODELS
from anndata import AnnData

import spotscape as sps
from spotscape.preprocessing import select_genes

OURS = "SPOTSCAPE"


@lru_cache(maxsize=1)
def _scaled(case: Case, keys: Keys) -> np.ndarray:
    section = load_case(case, keys)
    return scaled_expression(section.adata, section.size_factor_key, slice_key=section.slice_key)


@lru_cache(maxsize=4)
def _components(case: Case, keys: Keys, n_hops: int) -> np.ndarray:
    section = load_case(case, keys)
    positions = section.adata.obsm["spatial"]
    return floor_representation(_scaled(case, keys), positions, slices=section.slices, n_hops=n_hops)


def components(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """Principal components of scaled log expression, which know neither space nor slices."""
    return _components(case, keys, 0)


def smoothed_components(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """Principal components of expression averaged over a spot and its neighbours."""
    return _components(case, keys, 1)


def harmony(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """Harmony on the principal components."""
    return _run_harmony(components(case, keys, seed), load_case(case, keys), seed)


def combat(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """Principal components of expression corrected by ComBat."""
    section, scaled = load_case(case, keys), _scaled(case, keys)
    # ComBat divides by the spread within a slice.
    varies = np.all([scaled[section.slices == name].std(axis=0) > 0 for name in np.unique(section.slices)], axis=0)
    adata = AnnData(scaled[:, varies].astype(np.float64), obs=section.adata.obs[[section.slice_key]].copy())
    sc.pp.combat(adata, key=section.slice_key)
    return floor_representation(adata.X, section.adata.obsm["spatial"], slices=section.slices, n_hops=0)


def scvi_latent(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """SCVI with its defaults on the counts of the selected genes."""
    section = load_case(case, keys)
    codes = section.adata.obs[section.slice_key].cat.codes.to_numpy()
    genes = select_genes(section.adata.X, n_top_genes=N_TOP_GENES, slices=codes)
    adata = section.adata[:, genes].copy()
    scvi.settings.seed = seed
    scvi.model.SCVI.setup_anndata(adata, batch_key=section.slice_key)
    model = scvi.model.SCVI(adata)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


def ours(case: Case, keys: Keys, seed: int, name: str = OURS, **settings: float) -> np.ndarray:
    """A model with its defaults, or other ``settings``."""
    section, model_class = load_case(case, keys), getattr(sps, name)
    adata = section.adata.copy()
    model_class.setup_anndata(
        adata, slice_key=section.slice_key, spatial_key="spatial", size_factor_key=section.size_factor_key
    )
    model = model_class(adata, seed=seed, **settings)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


@lru_cache(maxsize=1)
def _ours(case: Case, keys: Keys, seed: int, *, name: str) -> np.ndarray:
    return ours(case, keys, seed, name)


def ours_harmony(case: Case, keys: Keys, seed: int, *, name: str) -> np.ndarray:
    """Harmony on the representation of a model."""
    return _run_harmony(_ours(case, keys, seed, name=name), load_case(case, keys), seed)


def ours_centred(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """The representation of the model, less the mean of each slice."""
    latent, slices = _ours(case, keys, seed, name=OURS), load_case(case, keys).slices
    means = {name: latent[slices == name].mean(axis=0) for name in np.unique(slices)}
    return latent - np.stack([means[name] for name in slices])


def _run_harmony(values: np.ndarray, section: Section, seed: int) -> np.ndarray:
    adata = AnnData(obs=section.adata.obs[[section.slice_key]].copy(), obsm={"X_given": values})
    sps.tl.harmony(adata, "X_given", section.slice_key, key_added="corrected", seed=seed)
    return adata.obsm["corrected"]


Method = Callable[[Case, Keys, int], np.ndarray]

METHODS: dict[str, Method] = {
    "PCA": components,
    "PCA, 1 hop": smoothed_components,
    "Harmony": harmony,
    "ComBat": combat,
    "scVI": scvi_latent,
    # Harmony after its model, whose representation is still there.
    **{
        title: partial(method, name=name)
        for name in MODELS
        for title, method in ((name, _ours), (f"{name} + Harmony", ours_harmony))
    },
}
#: Changes of the model, measured when asked for.
VARIANTS: dict[str, Method] = {
    f"{OURS}, centred": ours_centred,
    f"{OURS}, scaling weight 3": lambda case, keys, seed: ours(case, keys, seed, scaling_weight=3.0),
    f"{OURS}, scaling weight 10": lambda case, keys, seed: ours(case, keys, seed, scaling_weight=10.0),
}
#: Methods that draw nothing: they have one row.
WITHOUT_SEED = frozenset({"PCA", "PCA, 1 hop", "ComBat"})
