"""Representations of spots of several samples: AESTETIK with parts changed or left out, and what it is held against."""

import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import _integration_methods as integration
import numpy as np
from _cross_sample_cases import IMAGE, Case, Data, as_integration, load_case
from _floors import floor_representation, scaled_expression
from _sections import Keys
from anndata import AnnData
from sklearn.neighbors import NearestNeighbors

import spotscape as sps

OURS = "AESTETIK"
CORRECTIONS = ("none", "combat", "harmony", "scVI")
#: Parts of the model that are left out, one at a time.
ABLATIONS: dict[str, dict[str, Any]] = {
    "": {},
    "without space": {"window": 0},
    "without triplets": {"triplet_weight": 0},
    "without cross-sample positives": {"cross_sample_positives": False},
}
GIVEN = "X_given"
#: The authors' own package, which runs in an environment of its own.
AUTHORS = "aestetik (package)"
#: Columns of each modality that it takes by its own preprocessing.
N_AUTHORS = 15


def aestetik(
    data: Data, seed: int, *, rna_key: str | None = None, image_key: str | None = None, **settings: Any
) -> np.ndarray:
    """AESTETIK with its defaults, or other ``settings``, on expression, features in ``obsm``, an image, or both."""
    adata = data.adata.copy()
    size_factor_key = data.size_factor_key if rna_key not in adata.obsm else None
    sps.AESTETIK.setup_anndata(
        adata, rna_key=rna_key, image_key=image_key, slice_key=data.slice_key, size_factor_key=size_factor_key
    )
    model = sps.AESTETIK(adata, n_clusters=data.n_kinds, seed=seed, **settings)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


def corrected(case: Case, keys: Keys, seed: int, *, correction: str, settings: dict[str, Any]) -> np.ndarray:
    """AESTETIK on expression that was corrected in some way."""
    data = load_case(case, keys, seed)
    if correction != "scVI":
        return aestetik(data, seed, rna_correction=correction, **settings)
    return _on(data, peer(case, keys, seed, name="scVI"), seed, **settings)


def one_modality(case: Case, keys: Keys, seed: int, *, modality: str) -> np.ndarray:
    """AESTETIK on expression or on the image alone."""
    return aestetik(load_case(case, keys, seed), seed, rna_key=IMAGE if modality == "image" else None)


def both(case: Case, keys: Keys, seed: int, **settings: Any) -> np.ndarray:
    """AESTETIK on expression and image."""
    return aestetik(load_case(case, keys, seed), seed, image_key=IMAGE, **settings)


def side_by_side(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """Harmony on the components of expression and the image features, of equal variance, side by side."""
    data = load_case(case, keys, seed)
    counts = data.adata.X
    components = sps.data.Preprocessor().fit(counts, list(data.adata.var_names), slices=data.slices).transform(counts)
    image = data.adata.obsm[IMAGE] / data.adata.obsm[IMAGE].std(axis=0).clip(1e-9)
    image = (image - image.mean(axis=0)) / np.sqrt(image.shape[1])
    joined = np.hstack([components / np.sqrt((components**2).sum(axis=1).mean()), image])
    if len(np.unique(data.slices)) < 2:
        return joined
    adata = AnnData(obs=data.adata.obs[[data.slice_key]].copy(), obsm={GIVEN: joined})
    sps.tl.harmony(adata, GIVEN, data.slice_key, key_added="corrected", seed=seed)
    return adata.obsm["corrected"]


@lru_cache(maxsize=2)
def graph_model(case: Case, keys: Keys, seed: int, *, name: str) -> np.ndarray:
    """SPOTSCAPE or SEDR, which look at expression."""
    data, model_class = load_case(case, keys, seed), getattr(sps, name)
    adata = data.adata.copy()
    model_class.setup_anndata(adata, slice_key=data.slice_key, size_factor_key=data.size_factor_key)
    model = model_class(adata, seed=seed)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


def with_image(case: Case, keys: Keys, seed: int) -> np.ndarray:
    """AESTETIK on the latent representation of SPOTSCAPE and the image."""
    data = load_case(case, keys, seed)
    return _on(data, graph_model(case, keys, seed, name="SPOTSCAPE"), seed, image_key=IMAGE)


@lru_cache(maxsize=2)
def peer(case: Case, keys: Keys, seed: int, *, name: str) -> np.ndarray:
    """A method of the integration benchmark."""
    return integration.METHODS[name](as_integration(case, keys), keys, seed)


def _on(data: Data, values: np.ndarray, seed: int, **settings: Any) -> np.ndarray:
    adata = data.adata.copy()
    adata.obsm[GIVEN] = np.asarray(values)
    given = Data(adata, data.slice_key, data.size_factor_key, data.labels, data.is_annotated)
    return aestetik(given, seed, rna_key=GIVEN, rna_correction="precomputed", **settings)


def authors(case: Case, keys: Keys, seed: int, *, python: str) -> np.ndarray:
    """Embedding of the authors' package, of features that Harmony has corrected where there are several samples."""
    data = load_case(case, keys, seed)
    scaled = scaled_expression(data.adata, data.size_factor_key, slice_key=data.slice_key)
    components = floor_representation(scaled, data.adata.obsm["spatial"], slices=data.slices, n_hops=0)
    adata = AnnData(obs=data.adata.obs[[data.slice_key]].copy(), obsm={GIVEN: components})
    if len(np.unique(data.slices)) > 1:
        sps.tl.harmony(adata, GIVEN, data.slice_key, key_added=GIVEN, seed=seed)
    adata.obsm["X_pca_transcriptomics"] = adata.obsm[GIVEN][:, :N_AUTHORS]
    image = data.adata.obsm[IMAGE] if case.has_image else np.zeros((adata.n_obs, 2))
    adata.obsm["X_pca_morphology"] = image - image.mean(axis=0)
    adata.obs["sample"] = data.slices
    adata.obs[["x_array", "y_array"]] = lattice_sites(data.adata.obsm["spatial"], data.slices)
    program = Path(__file__).with_name("_cross_sample_peer_aestetik.py")
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "given.h5ad", Path(folder) / "out.npy"
        adata.write_h5ad(given)
        command = [python, program, given, out, data.n_kinds, seed]
        subprocess.run([str(part) for part in command], check=True, cwd=folder)
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


Method = Callable[[Case, Keys, int], np.ndarray]


def _variants() -> dict[str, Method]:
    names: dict[str, Method] = {}
    for correction in CORRECTIONS:
        for ablation, settings in ABLATIONS.items():
            # Harmony is the default.
            parts = [OURS, *([] if correction == "harmony" else [correction]), *([ablation] if ablation else [])]
            names[", ".join(parts)] = partial(corrected, correction=correction, settings=settings)
    return names


PEERS = ("PCA", "Harmony", "ComBat", "scVI")
GRAPH_MODELS = ("SPOTSCAPE", "SEDR")
#: Of expression alone.
EXPRESSION: dict[str, Method] = {
    **{name: partial(peer, name=name) for name in PEERS},
    **_variants(),
    **{name: partial(graph_model, name=name) for name in GRAPH_MODELS},
}
#: Where there is an image.
IMAGES: dict[str, Method] = {
    f"{OURS}, both": both,
    f"{OURS}, expression": partial(one_modality, modality="expression"),
    f"{OURS}, image": partial(one_modality, modality="image"),
    "side by side, Harmony": side_by_side,
    f"{OURS}, both, without cross-sample positives": partial(both, cross_sample_positives=False),
    f"{OURS}, both, without triplets": partial(both, triplet_weight=0),
    f"{OURS}, both, without space": partial(both, window=0),
    "SPOTSCAPE": partial(graph_model, name="SPOTSCAPE"),
    "SPOTSCAPE and image": with_image,
}
#: Methods that draw nothing, on data that do not either.
WITHOUT_SEED = frozenset({"PCA", "ComBat"})


def methods_of(case: Case) -> dict[str, Method]:
    """Methods that fit a case."""
    return IMAGES if case.has_image else EXPRESSION
