"""Over-representation of gene sets among selected or ranked genes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import stats

from spotscape._arguments import check_call
from spotscape._constants import MEASURED_KEY
from spotscape._uns import without_none
from spotscape._validate import check_choice, check_integer, check_name, check_number
from spotscape.tl.expression._gene_sets import GeneSets, read_gene_sets
from spotscape.tl.expression._labels import chosen_labels

#: Name of the list of genes in the result, where the user gives one.
GIVEN = "genes"


def enrichment(
    adata: AnnData,
    gene_sets: GeneSets,
    key: str = "markers",
    *,
    domain: str | Sequence[str] | None = None,
    genes: Iterable[str] | None = None,
    method: str = "selected",
    direction: str = "up",
    max_p_adjusted: float = 0.05,
    min_log2_fold_change: float = 0.5,
    n_genes: int | None = None,
    min_size: int = 5,
    max_size: int = 500,
    key_added: str = "enrichment",
    copy: bool = False,
) -> AnnData | None:
    r"""Test which gene sets are over-represented among the genes of each domain.

    ``method="selected"``, the default, selects genes by the thresholds and tests the overlap :math:`k` of :math:`n`
    selected genes with a set of :math:`K` genes, among :math:`N` tested genes, by the one-sided Fisher test,
    :math:`p = P(X \ge k)` for hypergeometric :math:`X`. The background is the tested genes, not the genome: a panel is
    chosen for its genes. ``method="ranked"`` needs no selection. It regresses the normal scores of the ranks of all
    genes on membership in the set, by the univariate linear model of decoupler :cite:p:`BadiaiMompel2022`.

    Both take genes to be independent. Genes of one set are usually co-expressed, so read the p values as a ranking of
    sets. p values are adjusted within each domain :cite:p:`Benjamini1995`.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`markers` or :func:`differential_expression`, unless ``genes`` is given.
    gene_sets
        Path of a GMT file, or a mapping from names to genes. Nothing is downloaded. Names of genes have to be those in
        ``adata.var_names``.
    key
        Key of the result in ``adata.uns``.
    domain
        Domain of the result, or several. If ``None``, all.
    genes
        Genes to test in place of a result, with all measured genes of ``adata`` as background.
    method
        ``"selected"`` or ``"ranked"``. ``"ranked"`` requires the extra ``spotscape[enrichment]``.
    direction
        ``"up"``: genes that are higher in the domain or condition; ``"down"``: lower.
    max_p_adjusted, min_log2_fold_change
        Thresholds of the selection. The fold change is taken in the direction.
    n_genes
        Largest number of selected genes per domain, those with the most extreme scores. If ``None``, all.
    min_size, max_size
        Sets with fewer or more tested genes are left out: small ones are found by chance or not at all, large ones are
        unspecific.
    key_added
        Key of the result in ``adata.uns``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets ``adata.uns[key_added]`` with ``"params"`` and ``"table"``, a data frame with one row
    per domain and gene set, by p value: ``domain``, ``gene_set``, its ``size`` among the tested genes, ``p_value``,
    ``p_adjusted``, and, for ``"selected"``, the number of genes ``n_selected``, their ``overlap`` with the set, the
    ``expected`` overlap, the ``odds_ratio`` (0.5 is added to each cell), and the ``genes`` in the overlap, separated by
    commas; for ``"ranked"``, the ``score``, a t value that is positive for sets at the top of the ranking. ``p_value``
    of ``"ranked"`` is two-sided.

    Raises
    ------
    KeyError
        If there is no such result, or a domain is not in it.
    FileNotFoundError, ValueError
        If the gene sets cannot be read, none has enough measured genes, no gene is given, or an argument does not apply
        to the method.
    ImportError
        If ``method="ranked"`` and decoupler is not installed.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=300, n_genes=60, n_domains=4, seed=0)
    >>> sps.tl.markers(adata, "domain")
    >>> is_marker = adata.var["marker_of"] == "patch_1"
    >>> gene_sets = {"patch": adata.var_names[is_marker], "others": adata.var_names[~is_marker][:12]}
    >>> sps.tl.enrichment(adata, gene_sets)
    >>> table = sps.get.enrichment(adata, "patch_1")
    >>> table[["gene_set", "size", "overlap"]].values.tolist()[0]
    ['patch', 6, 4]
    """
    check_call(enrichment, locals())
    check_choice(method, ("selected", "ranked"), "method")
    check_choice(direction, ("up", "down"), "direction")
    check_number(max_p_adjusted, "max_p_adjusted", minimum=0.0, maximum=1.0)
    check_number(min_log2_fold_change, "min_log2_fold_change", minimum=0.0)
    check_integer(min_size, "min_size", minimum=1)
    check_integer(max_size, "max_size", minimum=min_size)
    check_name(key_added, "key_added", "an entry of `adata.uns`")
    if n_genes is not None:
        check_integer(n_genes, "n_genes", minimum=1)
    sets = read_gene_sets(gene_sets)
    if genes is not None and method == "ranked":
        raise ValueError("`genes` is a list without order, but `method` is 'ranked'; pass `key` of a result instead.")
    sign = 1.0 if direction == "up" else -1.0
    if genes is not None:
        lists = {GIVEN: _given_genes(adata, genes)}
    else:
        table = _read_table(adata, key)
        names = chosen_labels(domain, pd.unique(table["domain"].astype(str)), "domain", f"adata.uns[{key!r}]")
        by_domain = {name: table[table["domain"].astype(str) == name] for name in names}
        if method == "ranked":
            found = _test_ranked(by_domain, sets, sign, min_size, max_size)
        else:
            thresholds = (max_p_adjusted, min_log2_fold_change, n_genes)
            lists = {name: _select(rows, sign, *thresholds) for name, rows in by_domain.items()}
    if method == "selected":
        found = pd.concat(
            [
                _test_overlaps(chosen, background, sets, min_size, max_size).assign(domain=name)
                for name, (chosen, background) in lists.items()
            ],
            ignore_index=True,
        )
    if found.empty:
        raise ValueError(
            f"No gene set has {min_size} to {max_size} of the tested genes; check that the genes of `gene_sets` are "
            "named as in `adata.var_names`, or change `min_size` and `max_size`."
        )
    found = found[["domain", *(name for name in found.columns if name != "domain")]]
    for name in ("domain", "gene_set"):
        found[name] = pd.Categorical(found[name], categories=list(dict.fromkeys(found[name])))
    adata = adata.copy() if copy else adata
    adata.uns[key_added] = {
        "table": found,
        "params": without_none(
            {
                "key": key if genes is None else None,
                "method": method,
                "direction": direction,
                "max_p_adjusted": float(max_p_adjusted),
                "min_log2_fold_change": float(min_log2_fold_change),
                "n_genes": n_genes,
                "n_gene_sets": len(sets),
                "min_size": int(min_size),
                "max_size": int(max_size),
            }
        ),
    }
    return adata if copy else None


def _read_table(adata: AnnData, key: str) -> pd.DataFrame:
    """Return the table of a result, and check that it has all tested genes, which are the background."""
    result: Any = adata.uns.get(key)
    table = result.get("table") if isinstance(result, Mapping) else None
    if not isinstance(table, pd.DataFrame) or not {"domain", "gene", "score", "log2_fold_change"} <= set(table.columns):
        raise KeyError(
            f"`key` is {key!r}, which is not a result of `spotscape.tl.markers` or "
            "`spotscape.tl.differential_expression` in `adata.uns`; call one of them first, or pass `genes`."
        )
    if "n_genes" in result["params"]:
        raise ValueError(
            f"`adata.uns[{key!r}]` has only the first {result['params']['n_genes']} genes of each domain, and the "
            "others are needed as background; call `spotscape.tl.markers` without `n_genes`."
        )
    return table


def _given_genes(adata: AnnData, genes: Iterable[str]) -> tuple[list[str], list[str]]:
    """Check the genes of the user, and return them and the background."""
    if isinstance(genes, str):
        raise ValueError(f"`genes` is the text {genes!r}; pass a list of genes.")
    if not isinstance(genes, Iterable):
        raise TypeError(f"`genes` is {genes!r}; pass a list of genes.")
    measured = adata.var[MEASURED_KEY].to_numpy(bool) if MEASURED_KEY in adata.var else slice(None)
    background = adata.var_names[measured].astype(str).tolist()
    chosen = list(dict.fromkeys(map(str, genes)))
    known = set(background)
    missing = [gene for gene in chosen if gene not in known]
    if missing or not chosen:
        what = f"has {missing[0]!r} and {len(missing) - 1} more that were not measured" if missing else "is empty"
        raise ValueError(f"`genes` {what}; pass genes of `adata.var_names`.")
    return chosen, background


def _select(
    rows: pd.DataFrame, sign: float, max_p_adjusted: float, min_log2_fold_change: float, n_genes: int | None
) -> tuple[list[str], list[str]]:
    """Genes that pass the thresholds, the most extreme first, and all tested genes."""
    passes = (rows["p_adjusted"] <= max_p_adjusted) & (sign * rows["log2_fold_change"] >= min_log2_fold_change)
    order = (-sign * rows.loc[passes, "score"]).sort_values(kind="stable").index[:n_genes]
    return rows.loc[order, "gene"].astype(str).tolist(), rows["gene"].astype(str).tolist()


def _test_overlaps(
    chosen: list[str], background: list[str], sets: dict[str, list[str]], min_size: int, max_size: int
) -> pd.DataFrame:
    """Fisher test of each set that has enough genes in the background."""
    known, selected = set(background), set(chosen)
    n_background, n_selected = len(known), len(selected)
    rows = []
    for name, genes in sets.items():
        members = known.intersection(genes)
        if not min_size <= len(members) <= max_size:
            continue
        overlap = [gene for gene in chosen if gene in members]
        k, size = len(overlap), len(members)
        cells = np.array([k, n_selected - k, size - k, n_background - n_selected - size + k]) + 0.5
        rows.append(
            {
                "gene_set": name,
                "size": size,
                "n_selected": n_selected,
                "overlap": k,
                "expected": n_selected * size / n_background,
                "odds_ratio": float(cells[0] * cells[3] / (cells[1] * cells[2])),
                "p_value": float(stats.hypergeom.sf(k - 1, n_background, size, n_selected)),
                "genes": ",".join(overlap),
            }
        )
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    table.insert(7, "p_adjusted", stats.false_discovery_control(table["p_value"].clip(0, 1)))
    return table.sort_values("p_value", kind="stable", ignore_index=True)


def _test_ranked(
    by_domain: dict[str, pd.DataFrame], sets: dict[str, list[str]], sign: float, min_size: int, max_size: int
) -> pd.DataFrame:
    """Univariate linear model of decoupler on the normal scores of the ranks."""
    try:
        from decoupler.mt import ulm
    except ImportError as error:
        raise ImportError(
            "`method='ranked'` needs decoupler; install it with `pip install 'spotscape[enrichment]'`."
        ) from error
    tables = []
    for name, rows in by_domain.items():
        genes = rows["gene"].astype(str).to_numpy()
        members = {key: sorted(set(genes).intersection(values)) for key, values in sets.items()}
        members = {key: values for key, values in members.items() if min_size <= len(values) <= max_size}
        if not members:
            continue
        ranks = stats.rankdata(sign * rows["score"].to_numpy())
        normal = stats.norm.ppf((ranks - 0.5) / len(ranks))
        pairs = [(key, gene) for key, values in members.items() for gene in values]
        net = pd.DataFrame(pairs, columns=["source", "target"])
        found, _ = ulm(pd.DataFrame([normal], index=[name], columns=genes), net, tmin=1)
        score = found.loc[name, list(members)].to_numpy(float)
        # decoupler adjusts p values; those of the t values are what it adjusts.
        p_value = 2 * stats.t.sf(np.abs(score), len(genes) - 2)
        table = pd.DataFrame(
            {
                "domain": name,
                "gene_set": list(members),
                "size": [len(values) for values in members.values()],
                "score": score,
                "p_value": p_value,
                "p_adjusted": stats.false_discovery_control(p_value),
            }
        )
        tables.append(table.sort_values("p_value", kind="stable"))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
