"""Kinds of data that cannot be used, and the functions that each is given to."""

from collections.abc import Callable
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

import spotscape as sps

_Change = Callable[[AnnData], AnnData | None]


def _position(value: Any) -> _Change:
    def change(adata: AnnData) -> None:
        adata.obsm["spatial"] = np.array(adata.obsm["spatial"])
        adata.obsm["spatial"][3] = value

    return change


def _positions(make: Callable[[np.ndarray], Any]) -> _Change:
    def change(adata: AnnData) -> None:
        adata.obsm["spatial"] = make(np.asarray(adata.obsm["spatial"]))

    return change


def _counts(value: float) -> _Change:
    def change(adata: AnnData) -> None:
        counts = sparse.csr_matrix(adata.layers["counts"]).astype(float)
        counts.data[3] = value
        adata.layers["counts"] = counts

    return change


def _representation(make: Callable[[np.ndarray], Any]) -> _Change:
    def change(adata: AnnData) -> None:
        adata.obsm["X_spotscape"] = make(np.array(adata.obsm["X_spotscape"]))

    return change


def _with(row: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def make(matrix: np.ndarray) -> np.ndarray:
        matrix[row] = value
        return matrix

    return make


def _obs(name: str, make: Callable[[AnnData], Any]) -> _Change:
    def change(adata: AnnData) -> None:
        adata.obs[name] = make(adata)

    return change


def _names(attribute: str) -> _Change:
    def change(adata: AnnData) -> None:
        names = list(getattr(adata, attribute))
        names[1] = names[0]
        setattr(adata, attribute, names)

    return change


def _without_slice(adata: AnnData) -> Any:
    column = adata.obs["slice"].astype(object)
    column.iloc[:3] = None
    return column


def _sparse(make: Callable[[AnnData], sparse.csr_matrix]) -> _Change:
    def change(adata: AnnData) -> None:
        adata.obsp["spatial_connectivities"] = make(adata)

    return change


#: What is changed, and what the message says of it.
POSITIONS: dict[str, tuple[_Change, str]] = {
    "a position is NaN": (_position(np.nan), "missing or infinite|not finite|NaN"),
    "a position is infinite": (_position(np.inf), "missing or infinite|not finite|infinite"),
    "one dimension": (_positions(lambda xy: xy[:, :1]), r"shape \(160, 1\)|1 column|two|column"),
    "four dimensions": (_positions(lambda xy: np.hstack([xy, xy])), r"shape \(160, 4\)|4 col|two|column"),
    "all in one place": (_positions(np.ones_like), "same position|share their position|one place|coincide|position"),
    "text": (_positions(lambda xy: xy.astype(str).astype(object)), "numbers|numeric|type"),
    "no positions": (lambda adata: adata.obsm.pop("spatial") is None or None, "`spatial_key` is 'spatial'"),
    "a spot has no slice": (_obs("slice", _without_slice), "missing for 3 spots|3 missing value|slice.* (3|missing)"),
    "no spots": (lambda adata: adata[:0].copy(), r"0 spot|no spots|[Tt]here are only 0|empty"),
    "one spot": (
        lambda adata: adata[:1].copy(),
        r"1 spot|at least two|only 1|single spot|besides the reference|distinct spots",
    ),
}
EXPRESSION: dict[str, tuple[_Change, str]] = {
    "a count is NaN": (_counts(np.nan), "missing|infinite|NaN"),
    "a count is infinite": (_counts(np.inf), "missing|infinite"),
    "a count is negative": (_counts(-1), "negative"),
    "a count is 1e30": (_counts(1e30), "1e\\+?30|too large|largest"),
    "no genes": (lambda adata: adata[:, :0].copy(), "no gene|0 genes|[Nn]o gene|gene"),
    "no spots": (lambda adata: adata[:0].copy(), r"0 spot|no spots|no labels|missing for all"),
}
NAMES: dict[str, tuple[_Change, str]] = {
    "two spots of one name": (_names("obs_names"), "obs_names"),
    "two genes of one name": (_names("var_names"), "var_names"),
}
REPRESENTATION: dict[str, tuple[_Change, str]] = {
    "a value is NaN": (_representation(_with(3, np.nan)), "X_spotscape.* missing or infinite"),
    "a value is infinite": (_representation(_with(3, np.inf)), "X_spotscape.* missing or infinite"),
    "complex": (_representation(lambda z: z.astype(complex)), "X_spotscape.*complex"),
    "truth values": (_representation(lambda z: z > 0), "X_spotscape.*bool"),
    "objects": (_representation(lambda z: z.astype(object)), "X_spotscape.*object"),
    "text": (_representation(lambda z: z.astype(str)), "X_spotscape.*(numbers|numeric)"),
    "no columns": (_representation(lambda z: z[:, :0]), r"X_spotscape.*\(160, 0\)"),
    "constant": (_representation(np.ones_like), "the same for all|distinct|constant|does not vary"),
    "no spots": (lambda adata: adata[:0].copy(), r"0 spot|no spots|only 0|missing for all|no labels|distinct"),
}
GRAPHS: dict[str, tuple[_Change, str]] = {
    "without edges": (_sparse(lambda adata: sparse.csr_matrix((adata.n_obs, adata.n_obs))), "no edges"),
    "the diagonal": (_sparse(lambda adata: sparse.eye(adata.n_obs, format="csr")), "no edges"),
    "complete": (_sparse(lambda adata: sparse.csr_matrix(np.ones((adata.n_obs, adata.n_obs)))), "join|all|complete"),
    "NaN": (_sparse(lambda adata: sparse.csr_matrix(np.full((adata.n_obs,) * 2, np.nan))), "missing|infinite|finite"),
    "negative": (_sparse(lambda adata: sparse.csr_matrix(-np.ones((adata.n_obs,) * 2))), "negative"),
}
SIZE_FACTORS: dict[str, tuple[_Change, str]] = {
    "below the totals": (_obs("total", lambda adata: 0.01), "times the counts|size_factor"),
    "zero": (_obs("total", lambda adata: 0.0), "size_factor.* is 0"),
    "negative": (_obs("total", lambda adata: -5.0), "size_factor.* is -5"),
    "missing": (_obs("total", lambda adata: np.nan), "missing|NaN|nan|finite"),
    "text": (_obs("total", lambda adata: "many"), "numbers"),
}


def _setup(model: Any, **arguments: Any) -> Callable[[AnnData], object]:
    return lambda adata: model.setup_anndata(adata, slice_key="slice", **arguments)


_SETUPS: dict[str, Callable[[AnnData], object]] = {
    "SPOTSCAPE.setup_anndata": _setup(sps.SPOTSCAPE, layer="counts"),
    "SEDR.setup_anndata": _setup(sps.SEDR, layer="counts"),
    "AESTETIK.setup_anndata": _setup(sps.AESTETIK, rna_key="counts", image_key="X_image"),
}
_USE: dict[str, Callable[[AnnData], object]] = {
    "tl.domains": lambda adata: sps.tl.domains(adata, n_domains=3),
    "tl.choose_n_domains": lambda adata: sps.tl.choose_n_domains(adata, n_domains=(2, 3), slice_key="slice"),
    "tl.harmony": lambda adata: sps.tl.harmony(adata),
    "tl.align": lambda adata: sps.tl.align(adata, "slice_1"),
    "tl.trajectory": lambda adata: sps.tl.trajectory(adata, "kind_1", domain_key="kind"),
    "tl.transfer_labels": lambda adata: sps.tl.transfer_labels(adata, "kind", "slice_1"),
    "pl.embedding": lambda adata: sps.pl.embedding(adata, color="kind", show=False),
    "pl.similarity": lambda adata: sps.pl.similarity(adata, slice_key="slice", show=False),
}
_COUNTS: dict[str, Callable[[AnnData], object]] = {
    "tl.markers": lambda adata: sps.tl.markers(adata, "kind", layer="counts"),
    "tl.differential_expression": lambda adata: sps.tl.differential_expression(
        adata, condition="condition", replicate="slice", domain_key="kind", layer="counts", min_counts=1, min_spots=1
    ),
    "tl.choose_slice_correction": lambda adata: sps.tl.choose_slice_correction(adata, "slice", layer="counts"),
}
_PLACES: dict[str, Callable[[AnnData], object]] = {
    "pp.spatial_neighbors": lambda adata: sps.pp.spatial_neighbors(adata, slice_key="slice"),
    "pl.domains": lambda adata: sps.pl.domains(adata, "kind", slice_key="slice", show=False),
    "tl.align": lambda adata: sps.tl.align(adata, "slice_1"),
    "tl.choose_n_domains": lambda adata: sps.tl.choose_n_domains(adata, n_domains=(2, 3), slice_key="slice"),
}
_PRECOMPUTED = {
    name: _setup(model, layer="counts", graph="precomputed")
    for name, model in (("SPOTSCAPE.setup_anndata", sps.SPOTSCAPE), ("SEDR.setup_anndata", sps.SEDR))
}
_FACTORS = {
    "SPOTSCAPE.setup_anndata": _setup(sps.SPOTSCAPE, layer="counts", size_factor_key="total"),
    "SEDR.setup_anndata": _setup(sps.SEDR, layer="counts", size_factor_key="total"),
    "AESTETIK.setup_anndata": _setup(sps.AESTETIK, rna_key="counts", size_factor_key="total"),
    "tl.markers": lambda adata: sps.tl.markers(adata, "kind", layer="counts", size_factor_key="total"),
}

#: Kinds of bad data x functions; what a function can use, or does not read, is left out.
TABLE = (
    (POSITIONS, _SETUPS | _PLACES),
    (EXPRESSION, _SETUPS | _COUNTS),
    (NAMES, _SETUPS),
    (REPRESENTATION, _USE),
    (GRAPHS, _PRECOMPUTED),
    (SIZE_FACTORS, _FACTORS),
)
#: Maps ignore further dimensions; tests compare with the totals of all genes, which may be larger.
ALLOWED: dict[str, set[str]] = {
    "pl.domains": {"four dimensions", "all in one place", "one spot"},
    "tl.choose_n_domains": {"four dimensions", "all in one place"},
    "tl.markers": {"below the totals"},
}
CASES = [
    (function, kind, call, *kinds[kind])
    for kinds, functions in TABLE
    for function, call in functions.items()
    for kind in kinds
    if kind not in ALLOWED.get(function, ())
]
