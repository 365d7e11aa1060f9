"""Dot plot of the markers of domains."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_integer, check_number
from spotscape.get import markers as get_markers
from spotscape.pl._figure import savefig_or_show
from spotscape.tl.expression._counts import read_counts
from spotscape.tl.expression._labels import chosen_labels, read_labels


def markers(
    adata: AnnData,
    key: str = "markers",
    *,
    n_genes: int = 4,
    domain: str | Sequence[str] | None = None,
    max_p_adjusted: float = 0.05,
    min_log2_fold_change: float = 0.5,
    layer: str | None = None,
    size_factor_key: str | None = None,
    cmap: str = "Blues",
    title: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the top markers of each domain as dots, by :class:`scanpy.pl.DotPlot`.

    The size of a dot is the share of spots in which the gene was detected. Its colour is the mean log-normalised
    expression, scaled for each gene from its lowest domain to its highest. Each gene is listed once, with the domain in
    which its score is highest.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.markers`.
    key
        Key of the result in ``adata.uns``.
    n_genes
        Number of genes per domain, by score.
    domain
        Domain, or several, whose markers are drawn. If ``None``, all.
    max_p_adjusted, min_log2_fold_change
        Thresholds for markers.
    layer, size_factor_key
        As in :func:`spotscape.tl.markers`. If ``None``, those of the result.
    cmap
        Colour map of the expression.
    title
        Title of the figure. If ``None``, no title.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"markers"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If there is no such result, or a domain is not in it.
    ValueError
        If no gene passes the thresholds.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=300, n_genes=60, n_domains=4, seed=0)
    >>> sps.tl.markers(adata, "domain")
    >>> panels = sps.pl.markers(adata, n_genes=2, show=False)
    >>> [label.get_text() for label in panels[0].get_yticklabels()]
    ['layer_1', 'layer_2', 'layer_3', 'patch_1']
    """
    check_call(markers, locals())
    from scanpy.plotting import DotPlot

    check_integer(n_genes, "n_genes", minimum=1)
    check_number(max_p_adjusted, "max_p_adjusted", minimum=0.0, maximum=1.0)
    table = get_markers(adata, key=key, max_p_adjusted=max_p_adjusted, min_log2_fold_change=min_log2_fold_change)
    params = adata.uns[key]["params"]
    labels = read_labels(adata, params["domain_key"], "domain_key")
    tested = [name for name in labels.categories if name in set(adata.uns[key]["table"]["domain"].astype(str))]
    names = chosen_labels(domain, tested, "domain", f"adata.uns[{key!r}]")
    best = table.loc[table.groupby("gene", observed=True)["score"].idxmax()].sort_values("score", ascending=False)
    genes = {name: best["gene"][best["domain"].astype(str) == name].astype(str)[:n_genes].tolist() for name in names}
    genes = {name: chosen for name, chosen in genes.items() if chosen}
    if not genes:
        raise ValueError(
            f"No gene has an adjusted p value up to {max_p_adjusted} and a log2 fold change of at least "
            f"{min_log2_fold_change}; raise `max_p_adjusted` or lower `min_log2_fold_change`."
        )
    layer = params.get("layer") if layer is None else layer
    size_factor_key = params.get("size_factor_key") if size_factor_key is None else size_factor_key
    # The values that were tested, whatever `adata.X` holds now.
    wanted = [gene for chosen in genes.values() for gene in chosen]
    counts = read_counts(adata, layer, size_factor_key, wanted)
    known = labels.notna()
    obs = pd.DataFrame({params["domain_key"]: labels[known]}, index=adata.obs_names[known])
    work = AnnData(counts.log_normalized()[known], obs=obs, var=pd.DataFrame(index=counts.genes))
    plot = DotPlot(
        work,
        genes,
        params["domain_key"],
        standard_scale="var",
        title=title,
        figsize=(0.28 * len(wanted) + 2.6, 0.32 * len(labels.categories) + 1.6),
    )
    plot.style(cmap=cmap, dot_edge_color="#666666", dot_edge_lw=0.3, grid=False)
    plot.legend(colorbar_title="mean expression\n(scaled by gene)", size_title="spots with\nthe gene (%)", width=1.5)
    plot.make_figure()
    axes = plot.get_axes()
    main = axes["mainplot_ax"]
    return savefig_or_show(
        plot.fig,
        [main, *(panel for panel in axes.values() if panel is not main)],
        "markers",
        show=show,
        save=save,
        return_fig=return_fig,
    )
