"""Binomial thinning of counts into two parts."""

import numpy as np
from anndata import AnnData
from scipy import sparse

from spotscape._arguments import check_call
from spotscape._places import Places
from spotscape._validate import check_number, check_present
from spotscape.preprocessing._row_blocks import row_blocks
from spotscape.preprocessing._value_summary import summarize_values


def thin_counts(
    adata: AnnData,
    share: float = 0.5,
    *,
    layer: str | None = None,
    key_added: str = "counts",
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    r"""Divide the molecules of each spot at random into a part to fit a model to and a part that is held out.

    Each count :math:`x_{ig}` is divided by a binomial draw :cite:p:`Neufeld2024`:

    .. math:: x^{\text{fit}}_{ig} \sim \mathrm{Binomial}(x_{ig}, p), \qquad
              x^{\text{held out}}_{ig} = x_{ig} - x^{\text{fit}}_{ig}

    If the counts are Poisson given the expression of the spot, the parts are independent given it: they share the
    biology but not the noise. The held-out part then checks whatever was made from the other. Set up a model with the
    part to fit to, and compare with the held-out part, as :func:`spotscape.tl.gene_correlations` does.

    Parameters
    ----------
    adata
        Annotated data.
    share
        Probability :math:`p` of each molecule to be in the part to fit to, above 0 and below 1. With one half, both
        parts have the same depth and can be compared directly.
    layer
        Layer with the counts. If ``None``, ``"counts"`` if there is such a layer, otherwise ``adata.X``.
    key_added
        Start of the names of the two layers.
    seed
        Seed of the draws.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets ``adata.layers[f"{key_added}_fit"]`` and ``adata.layers[f"{key_added}_held_out"]``,
    sparse float32 matrices that add up to the counts. ``(n_spots, n_genes)``. A column of size factors must be
    multiplied by ``share`` before it is used with the first one.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If the values are not counts, or ``share`` is not between 0 and 1.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, seed=0)
    >>> sps.pp.thin_counts(adata)
    >>> both = adata.layers["counts_fit"] + adata.layers["counts_held_out"]
    >>> print(abs(both - adata.layers["counts"]).max())
    0.0
    >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts_fit")
    """
    check_call(thin_counts, locals())
    check_number(share, "share")
    if not 0 < share < 1:
        raise ValueError(f"`share` is {share}; it must be above 0 and below 1, so that both parts have molecules.")
    if layer is None:
        layer = "counts" if "counts" in adata.layers else None
    else:
        check_present(layer, "layer", adata.layers.keys(), "adata.layers")
    source = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise ValueError("`adata.X` is empty; name the layer with the counts in `layer`.")
    rows = row_blocks(matrix)
    summary = summarize_values(rows)
    summary.check("auto", Places.of(adata))
    if not summary.is_whole:
        raise ValueError(
            f"`{source}` holds values that are not whole numbers, and only molecules can be divided; name the layer "
            "with the raw counts in `layer`."
        )
    rng = np.random.default_rng(seed)
    fit, held_out = [], []
    for _, block in rows:
        drawn = rng.binomial(block.data.astype(np.int64), share)
        fit.append(_part(block, drawn))
        held_out.append(_part(block, block.data - drawn))
    adata = adata.copy() if copy else adata
    adata.layers[f"{key_added}_fit"] = sparse.csr_matrix(sparse.vstack(fit))
    adata.layers[f"{key_added}_held_out"] = sparse.csr_matrix(sparse.vstack(held_out))
    return adata if copy else None


def _part(block: sparse.csr_matrix, values: np.ndarray) -> sparse.csr_matrix:
    """Matrix with other values, in which zeros are not stored."""
    part = sparse.csr_matrix((values.astype(np.float32), block.indices, block.indptr), shape=block.shape, copy=True)
    part.eliminate_zeros()
    return part
