"""Representations by AESTETIK with parts changed or left out, each of ``(n_spots, n_dimensions)``.

Every function takes a section and a seed. An image is features in ``obsm["X_image"]``. The number of clusters is that
of the labels; nothing else of them is seen.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import spotscape as sps
from benchmarks.common.reading import Section
from benchmarks.common.representations import run_harmony

IMAGE = "X_image"
GIVEN = "X_given"


def aestetik(
    section: Section, seed: int, *, rna_key: str | None = None, image_key: str | None = None, **settings: Any
) -> np.ndarray:
    """AESTETIK with its defaults, or other ``settings``, on expression, features in ``obsm``, an image, or both."""
    adata = section.adata.copy()
    size_factor_key = section.size_factor_key if rna_key not in adata.obsm else None
    sps.AESTETIK.setup_anndata(
        adata, rna_key=rna_key, image_key=image_key, slice_key=section.slice_key, size_factor_key=size_factor_key
    )
    model = sps.AESTETIK(adata, n_clusters=section.n_domains, seed=seed, **settings)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


def corrected(section: Section, seed: int, *, correction: str, **settings: Any) -> np.ndarray:
    """AESTETIK on expression that was corrected by one of its own corrections."""
    return aestetik(section, seed, rna_correction=correction, **settings)


def on_representation(
    section: Section, seed: int, *, made_by: Callable[[Section, int], np.ndarray], **settings: Any
) -> np.ndarray:
    """AESTETIK on a representation in place of expression."""
    adata = section.adata.copy()
    adata.obsm[GIVEN] = np.asarray(made_by(section, seed))
    given = replace(section, adata=adata)
    return aestetik(given, seed, rna_key=GIVEN, rna_correction="precomputed", **settings)


def side_by_side(section: Section, seed: int) -> np.ndarray:
    """Harmony on the components of expression and the image features, of equal variance, side by side."""
    counts, names = section.adata.X, list(section.adata.var_names)
    values = sps.preprocessing.Preprocessor().fit(counts, names, slices=section.slices).transform(counts)
    image = section.adata.obsm[IMAGE] / section.adata.obsm[IMAGE].std(axis=0).clip(1e-9)
    image = (image - image.mean(axis=0)) / np.sqrt(image.shape[1])
    return run_harmony(np.hstack([values / np.sqrt((values**2).sum(axis=1).mean()), image]), section, seed)
