"""Differential expression between conditions or domains, over replicates."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._uns import without_none
from spotscape._validate import check_integer, check_name, check_number
from spotscape.tl.expression._counts import Counts, read_counts
from spotscape.tl.expression._labels import as_notes, chosen_labels, notes_on_domains, read_labels
from spotscape.tl.expression._pseudobulk import make_pseudobulk
from spotscape.tl.expression._rank_sum import MIN_SPOTS, rank_sum_tests
from spotscape.tl.expression._replicated import MIN_REPLICATES, compare, run_comparison

_SPOTS_AS_REPLICATES = (
    "There are no replicates: spots were tested, which are not independent within a slice. The p values are far too "
    "small, and say nothing about other donors. Name the column of slices or donors in `replicate`."
)
_CONDITION_IN_FOUND_DOMAINS = (
    "The domains were found from expression, so a gene that differs between conditions may also change which spots "
    "belong to a domain. Check the sizes of the domains with `spotscape.tl.composition`."
)


def differential_expression(
    adata: AnnData,
    domain: str | Sequence[str] | None = None,
    condition: str | None = None,
    replicate: str | None = None,
    *,
    domain_key: str = "spatial_domain",
    groups: tuple[str, str] | None = None,
    reference_domain: str | None = None,
    layer: str | None = None,
    genes: Iterable[str] | str | None = None,
    min_counts: float = 10.0,
    min_spots: int = 10,
    key_added: str = "differential_expression",
    copy: bool = False,
) -> AnnData | None:
    r"""Test expression between two conditions within a domain, or between two domains, with replicates.

    The counts of all spots of a replicate in a domain are summed to one sample (pseudobulk), because replicates, not
    spots, are independent :cite:p:`Squair2021`. Log2 counts per million of the samples are compared by a linear model
    whose variances are moderated over genes :cite:p:`Smyth2004,Law2014`, which keeps the false-positive rate with few
    replicates. Library sizes are corrected by the median of ratios :cite:p:`Anders2010`. p values are adjusted within
    each domain :cite:p:`Benjamini1995`.

    With ``condition``, spots of a domain are compared between two conditions. If every replicate has both, such as
    treated and untreated slices of each donor, they are compared within replicates (paired). With
    ``reference_domain``, domains are compared within replicates.

    Without ``replicate``, spots are compared by the Wilcoxon rank-sum test, with a warning that is stored in the
    result: its p values are far too small.

    Parameters
    ----------
    adata
        Annotated data.
    domain
        Domain to test in, or several. If ``None``, all; those with too few replicates are left out with a warning.
    condition
        Column of ``adata.obs`` with the condition of each spot. Either this or ``reference_domain`` is needed.
    replicate
        Column of ``adata.obs`` with the independent units: donors, or slices if each is from another donor. Slices of
        one donor are not independent, so name the donors.
    domain_key
        Column of ``adata.obs`` with domains, found or annotated.
    groups
        The two conditions, the reference last. If ``None``, the two conditions of the column, the first one being the
        reference.
    reference_domain
        Domain that each is compared with, or ``"rest"``: all other domains.
    layer
        Layer with the counts, as in :func:`markers`.
    genes
        Genes to test, as in :func:`markers`.
    min_counts
        Genes are tested if they have as many counts in a sample of median size, or in proportion to the size, in as
        many samples as the smaller group has. The default, 10, leaves out genes without evidence, which cost power.
    min_spots
        Smallest number of spots of a sample. Smaller samples are left out, and their replicates named.
    key_added
        Key of the result in ``adata.uns``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets ``adata.uns[key_added]`` with

    ``"table"``
        Data frame with one row per domain and tested gene, by p value: ``domain``, ``group``, ``reference``, ``gene``,
        ``log2_fold_change`` and its ``standard_error``, ``score`` (t value; z without replicates), ``p_value``,
        ``p_adjusted``, ``fraction`` and ``fraction_reference`` (spots in which the gene was detected, mean over
        replicates), ``mean`` and ``mean_reference`` (counts per million, mean over replicates; without replicates,
        normalised counts), and ``unit``, ``"replicate"`` or ``"spot"``: what is taken to be independent.
    ``"domains"``
        Data frame with one row per tested domain: ``n_replicates``, ``n_replicates_reference``, whether they are
        ``paired``, ``n_genes`` tested, ``lacking`` (replicates that were left out) and ``prior_df`` (degrees of freedom
        of the prior of the variances).
    ``"notes"``
        What to know about the p values, if anything.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If a column, a layer, a gene or a domain does not exist.
    ValueError
        If the values are not counts, arguments contradict each other, or there are fewer than two replicates per
        group in a domain that is named, or in all domains.

    Warns
    -----
    UserWarning
        If spots are tested for want of replicates, or a replicate lacks a domain.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=4, n_spots=300, n_genes=60, n_domains=4, seed=0)
    >>> adata.obs["condition"] = adata.obs["slice"].isin(["slice_3", "slice_4"]).map({True: "new", False: "old"})
    >>> sps.tl.differential_expression(
    ...     adata, "layer_1", "condition", "slice", domain_key="domain", groups=("new", "old")
    ... )
    >>> table = sps.get.differential_expression(adata)
    >>> table["group"].unique().tolist(), bool((table["p_adjusted"] < 0.05).any())
    (['new'], False)

    Between two domains:

    >>> sps.tl.differential_expression(
    ...     adata, "layer_1", replicate="slice", domain_key="domain", reference_domain="patch_1"
    ... )
    >>> table = sps.get.differential_expression(adata, max_p_adjusted=0.05, min_log2_fold_change=0.5)
    >>> "layer_1" in adata.var.loc[table["gene"], "marker_of"].tolist()
    True
    """
    check_call(differential_expression, locals())
    check_name(key_added, "key_added", "an entry of `adata.uns`")
    check_number(min_counts, "min_counts", minimum=0.0)
    check_integer(min_spots, "min_spots", minimum=1)
    if (condition is None) == (reference_domain is None):
        given = "neither was" if condition is None else "both were"
        raise ValueError(
            f"Tests are between two conditions (`condition`) or between domains (`reference_domain`), but {given} "
            "given; pass one of them."
        )
    labels = read_labels(adata, domain_key, "domain_key")
    domains = chosen_labels(domain, labels.categories, "domain", f"adata.obs[{domain_key!r}]")
    replicates = None if replicate is None else read_labels(adata, replicate, "replicate")
    paired = condition is None
    if condition is not None:
        conditions = read_labels(adata, condition, "condition")
        pair = read_groups(conditions, groups, condition)
        sides = conditions.set_categories(list(pair))
        paired = replicates is not None and _is_crossed(replicates, sides)
    else:
        domains = _without_reference(labels, domains, str(reference_domain), domain_key, groups)
    counts = read_counts(adata, layer, None, genes)

    tables, rows, refused = [], [], []
    notes = notes_on_domains(adata, domain_key, genes)
    if condition is not None and notes:
        notes = [_CONDITION_IN_FOUND_DOMAINS]
    n_quiet = len(notes)
    if replicates is None:
        notes.append(_SPOTS_AS_REPLICATES)
    for name in domains:
        in_domain = np.asarray(labels == name)
        if condition is not None:
            columns = pd.Categorical.from_codes(np.where(in_domain, sides.codes, -1), categories=list(pair))
            candidates = sides.notna()
        else:
            others = labels.notna() if reference_domain == "rest" else np.asarray(labels == str(reference_domain))
            codes = np.where(in_domain, 0, np.where(others, 1, -1))
            columns = pd.Categorical.from_codes(codes, categories=[name, str(reference_domain)])
            candidates = labels.notna()
        found = _test(counts, columns, candidates, replicates, paired, min_counts, min_spots)
        if isinstance(found, str):
            refused.append(f"domain {name!r} has {found}")
            continue
        table, row = found
        if row["lacking"]:
            notes.append(f"Replicates without {min_spots} spots in domain {name!r} are left out: {row['lacking']}.")
        group, reference = columns.categories
        tables.append(table.assign(domain=name, group=group, reference=reference))
        rows.append({"domain": name} | row)
    if refused and (domain is not None or not rows):
        some = "; ".join(refused[:2]) + (f", and {len(refused) - 2} more like it" if len(refused) > 2 else "")
        raise ValueError(f"A test needs {_NEEDED[replicates is None]}, but {some}; omit these domains, or add data.")
    notes += [f"Not tested: {text}." for text in refused]
    for note in notes[n_quiet:]:
        warnings.warn(note, UserWarning, stacklevel=2)

    adata = adata.copy() if copy else adata
    adata.uns[key_added] = {
        "table": _tidy(tables),
        "domains": pd.DataFrame(rows),
        "params": without_none(
            {
                "domain_key": domain_key,
                "condition": condition,
                "reference_domain": reference_domain,
                "replicate": replicate,
                "groups": None if condition is None else list(pair),
                "counts": counts.source,
                "min_counts": float(min_counts),
                "min_spots": int(min_spots),
                "n_tested": len(counts.genes),
                "method": "wilcoxon" if replicate is None else "moderated t",
            }
        ),
    } | as_notes(notes)
    return adata if copy else None


_NEEDED = {False: f"{MIN_REPLICATES} replicates per group", True: f"{MIN_SPOTS} spots per group"}


def _test(
    counts: Counts,
    sides: pd.Categorical,
    candidates: np.ndarray,
    replicates: pd.Categorical | None,
    paired: bool,
    min_counts: float,
    min_spots: int,
) -> tuple[pd.DataFrame, dict[str, Any]] | str:
    """Test the first category of spots against the second: a table and a row of the domains, or what is lacking."""
    group, reference = sides.categories
    if replicates is None:
        sizes = np.bincount(sides.codes[sides.codes >= 0], minlength=2)
        if sizes.min() < MIN_SPOTS:
            return f"{sizes[0]} spot(s) in {group!r} and {sizes[1]} in {reference!r}"
        table = rank_sum_tests(counts, sides, [group], reference).drop(columns="group")
        table = table.assign(standard_error=np.nan, unit="spot").sort_values("p_value", kind="stable")
        row: dict[str, Any] = {"n_replicates": 0, "n_replicates_reference": 0, "paired": False}
        return table, row | {"n_genes": len(table), "lacking": "", "prior_df": np.nan}
    bulk = make_pseudobulk(counts, pd.DataFrame({"group": sides, "replicate": replicates}))
    expected = set(np.asarray(replicates)[candidates & replicates.notna()])
    comparison = compare(bulk, group, reference, expected, paired=paired, min_spots=min_spots)
    n_group, n_reference = comparison.n_replicates
    if min(n_group, n_reference) < MIN_REPLICATES:
        number = f"{n_group} in both" if paired else f"{n_group} in {group!r} and {n_reference} in {reference!r}"
        return f"{number} (with at least {min_spots} spots)"
    tested = run_comparison(comparison, counts.genes, min_counts)
    if tested is None:
        return f"enough replicates, but no gene with {min_counts:g} counts per sample"
    table, prior_df = tested
    row = {"n_replicates": n_group, "n_replicates_reference": n_reference, "paired": paired}
    row |= {"n_genes": len(table), "lacking": ", ".join(comparison.lacking), "prior_df": prior_df}
    return table.assign(unit="replicate"), row


def read_groups(conditions: pd.Categorical, groups: tuple[str, str] | None, key: str) -> tuple[str, str]:
    """Return the condition and its reference."""
    names = list(conditions.categories)
    if groups is None:
        if len(names) != 2:
            raise ValueError(
                f"`adata.obs[{key!r}]` has {len(names)} conditions, {names}; name two of them in `groups`."
            )
        return names[1], names[0]
    if (
        isinstance(groups, str)
        or not isinstance(groups, Sequence)
        or len(groups) != 2
        or str(groups[0]) == str(groups[1])
    ):
        raise ValueError(f"`groups` is {groups!r}; pass two conditions, the reference last.")
    first, second = chosen_labels(list(groups), names, "groups", f"adata.obs[{key!r}]")
    return first, second


def _without_reference(
    labels: pd.Categorical, domains: list[str], reference: str, key: str, groups: tuple[str, str] | None
) -> list[str]:
    """Check the domain to compare with, and return the domains other than it."""
    if groups is not None:
        raise ValueError(f"`groups` is {groups!r}, which are conditions, but `condition` is None; omit one of them.")
    if reference != "rest":
        chosen_labels(reference, labels.categories, "reference_domain", f"adata.obs[{key!r}]")
    domains = [name for name in domains if name != reference]
    if not domains:
        raise ValueError(f"`domain` and `reference_domain` are both {reference!r}; name two different domains.")
    return domains


def _is_crossed(replicates: pd.Categorical, sides: pd.Categorical) -> bool:
    """Whether every replicate has both conditions, rather than one of them."""
    table = pd.crosstab(np.asarray(replicates), np.asarray(sides)) > 0
    both = table.sum(axis=1) == 2
    if both.any() and not both.all():
        raise ValueError(
            f"Replicate {table.index[both][0]!r} has both conditions and {table.index[~both][0]!r} only one; leave out "
            "the replicates of one kind, so that all are compared in the same way."
        )
    return bool(both.any())


def _tidy(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join the tables, with texts as categories."""
    table = pd.concat(tables, ignore_index=True)
    for name in ("domain", "group", "reference", "gene", "unit"):
        table[name] = pd.Categorical(table[name].astype(str), categories=list(dict.fromkeys(table[name].astype(str))))
    first = ["domain", "group", "reference", "gene", "log2_fold_change", "standard_error", "score"]
    return table[first + [name for name in table.columns if name not in first]]
