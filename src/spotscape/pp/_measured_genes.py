"""Genes that were measured in every slice."""

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._constants import MEASURED_SLICES_KEY
from spotscape._places import Places
from spotscape._slices import need_slice_key, read_slices
from spotscape._validate import check_present
from spotscape.preprocessing._row_blocks import row_blocks
from spotscape.preprocessing._value_summary import summarize_values


def measured_genes(adata: AnnData, slice_key: str | None = None, *, layer: str | None = None) -> np.ndarray:
    r"""Find the genes that were measured in every slice.

    When sections of different panels are joined with zeros for the genes that a section lacks, the zeros set the
    sections apart. Set-up refuses such data. A gene :math:`g` counts as not measured in slice :math:`s` if it is zero
    in all of its :math:`n_s` spots although at least ten are expected to express it,

    .. math:: n_s \frac{\sum_r m_{rg}}{\sum_{r: m_{rg} > 0} n_r} \ge 10,

    with the number :math:`m_{rg}` of spots of slice :math:`r` that express it. Genes that ``adata.varm["measured"]``
    marks as not measured in a slice count as well.

    Parameters
    ----------
    adata
        Annotated data of ``n_genes`` genes.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. ``None``: the one of the spatial graph, or ``"slice"``.
    layer
        Layer with the expression. ``None``: ``adata.X``.

    Returns
    -------
    Whether each gene was measured in every slice. ``(n_genes,)``.

    Raises
    ------
    KeyError
        If the column or the layer is missing.
    ValueError
        If a spot has no slice.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> adata.X = adata.X.toarray()
    >>> adata.X[(adata.obs["slice"] == "slice_2").to_numpy(), :10] = 0
    >>> measured = sps.pp.measured_genes(adata)
    >>> print(measured[:10].any(), measured[10:].all())
    False True
    >>> adata = adata[:, measured].copy()
    """
    check_call(measured_genes, locals())
    slices = read_slices(adata, need_slice_key(adata, slice_key))
    if layer is not None:
        check_present(layer, "layer", adata.layers.keys(), "adata.layers")
    elif adata.X is None:
        raise ValueError("`adata.X` is empty; name the layer with the expression in `layer`.")
    codes = slices.cat.codes.to_numpy()
    rows = row_blocks(adata.X if layer is None else adata.layers[layer])
    summary = summarize_values(rows, codes)
    summary.check("auto", Places(adata.obs_names, adata.var_names, slices))
    spots_of = [np.flatnonzero(codes == code) for code in range(len(slices.cat.categories))]
    measured = ~summary.absent_genes(spots_of)[1].any(axis=0)
    marked = adata.varm.get(MEASURED_SLICES_KEY)
    if isinstance(marked, pd.DataFrame):
        present = [name for name in slices.cat.categories if name in marked]
        measured &= marked[present].to_numpy(dtype=bool).all(axis=1)
    return np.asarray(measured)
