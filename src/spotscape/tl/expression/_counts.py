"""Counts of an AnnData, for tests: found, checked and normalised."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._constants import MEASURED_KEY
from spotscape._places import Places
from spotscape._validate import check_present, checked_names, numeric_array
from spotscape.preprocessing._row_blocks import row_blocks
from spotscape.preprocessing._values import check_size_factors, log_expression, summarize_values

_SCVI_UUID = "_scvi_uuid"


@dataclass(eq=False)
class Counts:
    """Counts of the genes to be tested.

    Parameters
    ----------
    matrix
        Counts, CSR. ``(n_spots, n_genes)``.
    size_factors
        Library size of each spot, over all genes. ``(n_spots,)``.
    genes
        Names of the genes. ``(n_genes,)``.
    source
        Where the counts are, as in ``"layers['counts']"``.
    """

    matrix: sparse.csr_matrix
    size_factors: np.ndarray
    genes: pd.Index
    source: str

    def normalized(self) -> sparse.csr_matrix:
        """Counts divided by the library size and multiplied by the median library size. ``(n_spots, n_genes)``."""
        positive = self.size_factors > 0
        scale = np.zeros(len(self.size_factors))
        scale[positive] = self._target() / self.size_factors[positive]
        return sparse.csr_matrix(sparse.diags(scale) @ self.matrix)

    def log_normalized(self) -> sparse.csr_matrix:
        """Natural logarithm of 1 + normalised counts, float32. ``(n_spots, n_genes)``."""
        return log_expression(self.matrix, "counts", self.size_factors, self._target(), 1.0)

    def _target(self) -> float:
        return float(np.median(self.size_factors[self.size_factors > 0]))


def read_counts(
    adata: AnnData, layer: str | None, size_factor_key: str | None, genes: Iterable[str] | str | None
) -> Counts:
    """Find the counts, and check that they are counts.

    Parameters
    ----------
    adata
        Annotated data.
    layer
        Layer with the counts. If ``None``, what the AnnData was set up with, otherwise ``layers["counts"]``, otherwise
        ``X``.
    size_factor_key
        Column of ``adata.obs`` with the totals over all genes. If ``None``, the one the AnnData was set up with,
        otherwise the totals are computed.
    genes
        Names of the genes to test, or a boolean column of ``adata.var``. If ``None``, all measured genes.

    Returns
    -------
    The counts of these genes.

    Raises
    ------
    KeyError
        If a layer, a column or a gene does not exist.
    ValueError
        If the values are not counts, a size factor is not positive, or no gene is left.
    """
    if not adata.var_names.is_unique:
        raise ValueError("`adata.var_names` has names more than once; call `adata.var_names_make_unique()` first.")
    registered = _registered(adata)
    if layer is None:
        layer = registered.get("layer", "counts" if "counts" in adata.layers else None)
    else:
        check_present(layer, "layer", adata.layers.keys(), "adata.layers")
    source = "X" if layer is None else f"layers[{layer!r}]"
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise ValueError("`adata.X` is empty; name the layer with the counts in `layer`.")
    rows = row_blocks(matrix)
    summary = summarize_values(rows)
    summary.check("auto", Places.of(adata))
    if summary.recognise() != "counts":
        raise ValueError(
            f"`adata.{source}` holds values that are not whole numbers, and tests need counts, because denoised or "
            "normalised values have another variance; name the layer with the raw counts in `layer`."
        )
    size_factor_key = registered.get("size_factor_key") if size_factor_key is None else size_factor_key
    size_factors = summary.totals
    if size_factor_key is not None:
        check_present(size_factor_key, "size_factor_key", adata.obs.columns, "adata.obs")
        given = numeric_array(adata.obs[size_factor_key], f"adata.obs[{size_factor_key!r}]")
        size_factors = check_size_factors(given, summary.totals, key=size_factor_key, places=Places.of(adata))
    if not (size_factors > 0).any():
        raise ValueError(f"`adata.{source}` is zero in all spots; name the layer with the counts in `layer`.")
    columns = _select_genes(adata, genes)
    blocks = [block[:, columns] for _, block in rows]
    return Counts(sparse.csr_matrix(sparse.vstack(blocks)), size_factors, adata.var_names[columns], source)


def _registered(adata: AnnData) -> dict[str, str | None]:
    """Layer and column of size factors that the AnnData was set up with. A copy has those of the original."""
    if _SCVI_UUID not in adata.uns:
        return {}
    from spotscape.model import AESTETIK, SEDR, SPOTSCAPE

    models: tuple[Any, ...] = (SPOTSCAPE, SEDR, AESTETIK)
    for model in models:
        manager = model._setup_adata_manager_store.get(adata.uns[_SCVI_UUID])
        place = {} if manager is None else manager.data_registry.get("X", {})
        if place.get("attr_name") not in ("X", "layers") or place.get("mod_key"):
            continue
        layer = place["attr_key"] if place["attr_name"] == "layers" else None
        if layer is not None and layer not in adata.layers:
            continue
        key = manager.registry["setup_args"].get("size_factor_key")
        return {"layer": layer, "size_factor_key": key if key in adata.obs else None}
    return {}


def _select_genes(adata: AnnData, genes: Iterable[str] | str | None) -> np.ndarray:
    """Column numbers of the genes to test, in the order of the AnnData."""
    measured = adata.var[MEASURED_KEY].to_numpy(bool) if MEASURED_KEY in adata.var else np.ones(adata.n_vars, bool)
    if isinstance(genes, str):
        check_present(genes, "genes", adata.var.columns, "adata.var")
        if adata.var[genes].dtype != bool:
            raise TypeError(f"`adata.var[{genes!r}]` is of type {adata.var[genes].dtype}; pass a boolean column.")
        wanted = adata.var[genes].to_numpy()
    elif genes is None:
        wanted = measured
    else:
        wanted = adata.var_names.isin(checked_names(genes, "genes", adata.var_names, "adata.var_names"))
    columns = np.flatnonzero(wanted & measured)
    if len(columns) == 0:
        raise ValueError("`genes` leaves no gene to test; name genes that were measured.")
    return columns
