"""Map of the tissue under its earlier name."""

from collections.abc import Sequence
from typing import Any

from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape.pl._spatial import spatial


def domains(
    adata: AnnData, color: str | Sequence[str] = "spatial_domain", **options: Any
) -> Figure | list[Axes] | None:
    """Draw maps of the tissue: another name of :func:`spotscape.pl.spatial`, which it had first.

    Parameters
    ----------
    adata
        Annotated data.
    color
        Column of ``adata.obs`` or name of a gene, or a list of them.
    **options
        As of :func:`spotscape.pl.spatial`.

    Returns
    -------
    As :func:`spotscape.pl.spatial`.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, seed=0)
    >>> [panel.get_title() for panel in sps.pl.domains(adata, color="domain", show=False)]
    ['domain']
    """
    return spatial(adata, color, **options)
