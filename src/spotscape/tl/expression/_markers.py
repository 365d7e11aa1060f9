"""Marker genes of domains."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._slices import find_slice_key, read_slices
from spotscape._uns import without_none
from spotscape._validate import check_integer, check_name, check_present
from spotscape.tl.expression._contamination import describe_domains
from spotscape.tl.expression._counts import read_counts
from spotscape.tl.expression._labels import as_notes, chosen_labels, notes_on_domains, read_labels
from spotscape.tl.expression._rank_sum import MIN_SPOTS, rank_sum_tests


def markers(
    adata: AnnData,
    domain_key: str = "spatial_domain",
    *,
    groups: str | Sequence[str] | None = None,
    reference: str = "rest",
    layer: str | None = None,
    size_factor_key: str | None = None,
    genes: Iterable[str] | str | None = None,
    n_genes: int | None = None,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    key_added: str = "markers",
    copy: bool = False,
) -> AnnData | None:
    r"""Rank the genes of each domain by a rank-sum test against the other domains, or against one of them.

    Counts are divided by the library size, scaled to the median library size, and log-transformed, :math:`\log(1 + x)`.
    Each gene is tested by the Wilcoxon rank-sum test of :func:`scanpy.tl.rank_genes_groups`, with the correction for
    ties, and its p values are adjusted within each domain :cite:p:`Benjamini1995`. Only counts above zero are sorted.

    This is for exploration. Spots of one tissue are not replicates, and domains that were found from expression differ
    in it by construction; both make p values too small. Use :func:`differential_expression` with replicates to test.

    Parameters
    ----------
    adata
        Annotated data.
    domain_key
        Column of ``adata.obs`` with domains, found or annotated. Spots without a domain are left out.
    groups
        Domains to test. If ``None``, all with at least three spots.
    reference
        Domain that they are compared with, or ``"rest"``: all other domains.
    layer
        Layer with the counts. If ``None``, what ``adata`` was set up with for a model, otherwise ``"counts"``,
        otherwise ``adata.X``. Values that are not counts are refused, such as those of
        :meth:`~spotscape.SPOTSCAPE.get_normalized_expression`: neighbouring spots share them, so that any difference
        would seem certain.
    size_factor_key
        Column of ``adata.obs`` with the total of each spot over all genes, where ``adata`` has a part of them. If
        ``None``, the one of the set-up, otherwise the totals of ``adata``.
    genes
        Genes to test: names, or a boolean column of ``adata.var``. If ``None``, all measured genes. Genes that were
        left out of the representation can be tested without circularity, see :doc:`/user_guide/markers`.
    n_genes
        Number of genes to keep per domain, those with the highest scores. If ``None``, all, which
        :func:`enrichment` needs.
    slice_key
        Column of ``adata.obs`` with the slices, for the flag. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"`` if there is such a column, otherwise all spots are one slice.
    spatial_key
        Key of the coordinates in ``adata.obsm``, for the flag. Without coordinates, no domain is flagged.
    key_added
        Key of the result in ``adata.uns``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets ``adata.uns[key_added]`` with

    ``"table"``
        Data frame with one row per domain and gene, by decreasing score: ``domain``, ``reference``, ``gene``,
        ``score`` (z value), ``log2_fold_change``, ``p_value``, ``p_adjusted``, ``fraction`` and
        ``fraction_reference`` (spots in which the gene was detected, inside and outside), ``mean`` and
        ``mean_reference`` (normalised counts). The fold change is that of the means, each raised by half a count in
        the smaller group of spots.
    ``"domains"``
        Data frame with one row per domain of the column: ``n_spots``; its ``share`` of all spots;
        ``largest_slice``, the slice with most of it, ``share_in_largest_slice`` and ``share_of_largest_slice``;
        ``spread``, its radius of gyration in that slice relative to a disc with as many spots; ``offset``, the distance
        of its centre from that of the slice, in radii of gyration of the slice; ``mitochondrial_share`` and
        ``mitochondrial_share_reference`` of the counts, where such genes (``MT-``) were measured; for small patches,
        the comparison with twice as many spots around them: ``n_local_genes`` that differ (-1: not compared),
        ``n_gained_genes`` of them with a log2 fold change of at least 1.5, and ``gained_share``, their share of the sum
        of squared scores; and ``contamination_like`` with the ``reason``.

        A domain is flagged if it is one compact patch off the centre of one slice with at most 5 % of its spots, and
        differs from the spots around it by few genes (at most 1 %, or 20), of which strongly increased ones carry at
        least half of the difference; or has at least twice the mitochondrial share of the other domains. The number of
        genes is not judged with fewer than 500, and fewer than 20 spots are never flagged.
    ``"notes"``
        What to know about the p values, if anything.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If a column, a layer, a gene or a domain does not exist.
    ValueError
        If the values are not counts, or a domain has too few spots.

    Warns
    -----
    UserWarning
        If a domain looks like contamination.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=300, n_genes=60, n_domains=4, seed=0)
    >>> sps.tl.markers(adata, "domain")
    >>> table = sps.get.markers(adata, "layer_2", max_p_adjusted=0.05, min_log2_fold_change=0.5)
    >>> adata.var.loc[table["gene"][0], "marker_of"]
    'layer_2'
    """
    check_call(markers, locals())
    check_name(key_added, "key_added", "an entry of `adata.uns`")
    if n_genes is not None:
        check_integer(n_genes, "n_genes", minimum=1)
    labels = read_labels(adata, domain_key, "domain_key")
    where = f"adata.obs[{domain_key!r}]"
    tested = _groups_to_test(labels, groups, str(reference), where)
    slice_key = find_slice_key(adata, slice_key)
    slices = np.full(adata.n_obs, "") if slice_key is None else read_slices(adata, slice_key).to_numpy(str)
    coordinates = _read_positions(adata, spatial_key)
    counts = read_counts(adata, layer, size_factor_key, genes)

    table = rank_sum_tests(counts, labels, tested, str(reference)).rename(columns={"group": "domain"})
    if n_genes is not None:
        table = table.groupby("domain", sort=False).head(n_genes).reset_index(drop=True)
    table["domain"] = pd.Categorical(table["domain"], categories=tested)
    table["gene"] = pd.Categorical(table["gene"])
    table.insert(1, "reference", pd.Categorical([str(reference)] * len(table)))
    everything = counts if genes is None else read_counts(adata, layer, size_factor_key, None)
    described = describe_domains(everything, labels, slices, coordinates)
    for row in described[described["contamination_like"]].itertuples():
        warnings.warn(
            f"Domain {row.domain!r} looks like contamination rather than tissue: {row.reason}. Look at it with "
            "`spotscape.pl.spatial` before you interpret it.",
            UserWarning,
            stacklevel=2,
        )
    adata = adata.copy() if copy else adata
    adata.uns[key_added] = {
        "table": table,
        "domains": described,
        "params": without_none(
            {
                "domain_key": domain_key,
                "reference": str(reference),
                "counts": counts.source,
                "layer": layer,
                "size_factor_key": size_factor_key,
                "n_genes": n_genes,
                "n_tested": len(counts.genes),
                "method": "wilcoxon",
            }
        ),
    } | as_notes(notes_on_domains(adata, domain_key, genes))
    return adata if copy else None


def _groups_to_test(
    labels: pd.Categorical, groups: str | Sequence[str] | None, reference: str, where: str
) -> list[str]:
    """Check the domains, and return those to test."""
    sizes = pd.Series(labels).value_counts()
    tested = chosen_labels(groups, labels.categories, "groups", where)
    if reference != "rest":
        chosen_labels(reference, labels.categories, "reference", where)
        tested = [group for group in tested if group != reference]
    if groups is None:
        tested = [group for group in tested if sizes[group] >= MIN_SPOTS]
    for group in tested if reference == "rest" else [*tested, reference]:
        if sizes[group] < MIN_SPOTS:
            raise ValueError(f"Domain {group!r} of `{where}` has {sizes[group]} spot(s); a test needs {MIN_SPOTS}.")
        if reference == "rest" and sizes.sum() - sizes[group] < MIN_SPOTS:
            raise ValueError(f"Domain {group!r} of `{where}` has almost all spots; a test needs {MIN_SPOTS} others.")
    if not tested:
        raise ValueError(
            f"There is no domain of `{where}` to test against {reference!r}; name others in `groups` or `reference`."
        )
    return tested


def _read_positions(adata: AnnData, spatial_key: str) -> np.ndarray | None:
    """First two coordinates of all spots, or ``None`` if there are none. ``(n_spots, 2)``."""
    if spatial_key != "spatial":
        check_present(spatial_key, "spatial_key", adata.obsm, "adata.obsm")
    if spatial_key not in adata.obsm:
        return None
    positions = np.asarray(adata.obsm[spatial_key], dtype=np.float64)[:, :2]
    return positions if positions.shape[1] == 2 and np.isfinite(positions).all() else None
