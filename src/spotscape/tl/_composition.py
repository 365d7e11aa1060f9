"""Composition of slices by domain, and its differences between conditions."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import stats

from spotscape._arguments import check_call, name_of
from spotscape._slices import need_slice_key
from spotscape._uns import without_none
from spotscape._validate import check_name
from spotscape.tl.expression._differential_expression import read_groups
from spotscape.tl.expression._labels import read_labels

_MIN_SAMPLES = 2
_PSEUDOCOUNT = 0.5


def composition(
    adata: AnnData,
    key: str = "spatial_domain",
    sample_key: str | None = None,
    *,
    condition: str | None = None,
    groups: tuple[str, str] | None = None,
    key_added: str = "composition",
    copy: bool = False,
) -> AnnData | None:
    r"""Compute the shares of domains in each slice, or of cell types in each domain, and compare them.

    With ``condition``, each category is tested between two conditions, with the samples as replicates. Shares sum to
    one, so that one larger domain makes all others smaller. The centred log ratio :cite:p:`Aitchison1982` refers each
    to the geometric mean of all:

    .. math::

        \mathrm{clr}_k = \log(n_k + \tfrac12) - \frac{1}{K} \sum_j \log(n_j + \tfrac12)

    for :math:`n_k` spots of category :math:`k`. It is compared by the two-sample t test, and p values are adjusted over
    categories :cite:p:`Benjamini1995`. Spots of a sample are not independent, and are not used as replicates.

    Parameters
    ----------
    adata
        Annotated data.
    key
        Column of ``adata.obs`` with categories: domains or cell types. Spots without one are left out.
    sample_key
        Column of ``adata.obs`` with what they are counted in: slices or donors, or, without ``condition``, domains. If
        ``None``, the slices with which the spatial graph was built, otherwise ``"slice"``.
    condition
        Column of ``adata.obs`` with the condition of each sample. If ``None``, nothing is tested.
    groups
        The two conditions, the reference last. If ``None``, the two conditions of the column, the first one being the
        reference.
    key_added
        Key of the result in ``adata.uns``.
    copy
        Return a copy of ``adata`` with the result, and leave ``adata`` unchanged.

    Returns
    -------
    ``None``, or the copy. Sets ``adata.uns[key_added]`` with

    ``"table"``
        Data frame with one row per sample and category: ``sample``, ``category``, ``n_spots``, ``proportion``, and the
        ``condition`` of the sample, if given.
    ``"tests"``
        With ``condition``, a data frame with one row per category: ``category``, ``group``, ``reference``,
        ``proportion`` and ``proportion_reference`` (means over samples), ``log2_ratio`` (difference of the mean centred
        log ratios, in base 2), ``score`` (t value), ``p_value`` and ``p_adjusted``.
    ``"params"``
        The parameters.

    Raises
    ------
    KeyError
        If a column does not exist.
    ValueError
        If a sample has several conditions, or a condition has fewer than two samples.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=4, n_spots=200, n_genes=40, n_domains=4, seed=0)
    >>> sps.tl.composition(adata, "domain")
    >>> table = sps.get.composition(adata)
    >>> table.shape, float(table.groupby("sample", observed=True)["proportion"].sum().round(6).min())
    ((16, 4), 1.0)
    """
    check_call(composition, locals(), key=name_of("a column of `adata.obs`"))
    check_name(key_added, "key_added", "an entry of `adata.uns`")
    categories = read_labels(adata, key, "key")
    sample_key = need_slice_key(adata, None) if sample_key is None else sample_key
    samples = read_labels(adata, sample_key, "sample_key")
    known = np.asarray(categories.notna() & samples.notna())
    counts = pd.crosstab(
        pd.Series(samples[known], name="sample"), pd.Series(categories[known], name="category"), dropna=False
    )
    counts = counts.loc[counts.sum(axis=1) > 0]
    table = counts.stack().rename("n_spots").reset_index()
    table["proportion"] = (counts.div(counts.sum(axis=1), axis=0)).stack().to_numpy()
    tests = {}
    if condition is not None:
        conditions = read_labels(adata, condition, "condition")
        group, reference = read_groups(conditions, groups, condition)
        of_sample = _sample_conditions(samples, conditions, condition)
        table["condition"] = pd.Categorical(table["sample"].astype(str).map(of_sample))
        tests["tests"] = _compare(counts, of_sample, group, reference)
    elif groups is not None:
        raise ValueError(f"`groups` is {groups!r}, which are conditions, but `condition` is None; name the column.")
    adata = adata.copy() if copy else adata
    adata.uns[key_added] = {
        "table": table,
        "params": without_none({"key": key, "sample_key": sample_key, "condition": condition}),
    } | tests
    return adata if copy else None


def _sample_conditions(samples: pd.Categorical, conditions: pd.Categorical, key: str) -> dict[str, str]:
    """Condition of each sample."""
    pairs = pd.DataFrame({"sample": np.asarray(samples), "condition": np.asarray(conditions)}).dropna()
    pairs = pairs.drop_duplicates()
    several = pairs["sample"][pairs["sample"].duplicated()]
    if len(several):
        raise ValueError(
            f"Sample {several.iloc[0]!r} has several conditions in `adata.obs[{key!r}]`; name a column of samples with "
            "one condition each in `sample_key`."
        )
    return dict(zip(pairs["sample"], pairs["condition"], strict=True))


def _compare(counts: pd.DataFrame, of_sample: dict[str, str], group: str, reference: str) -> pd.DataFrame:
    """Two-sample t test of the centred log ratios of each category."""
    names = counts.index.astype(str).map(of_sample).to_numpy(dtype=object)
    sides = [names == group, names == reference]
    for name, side in zip((group, reference), sides, strict=True):
        if side.sum() < _MIN_SAMPLES:
            raise ValueError(f"Condition {name!r} has {side.sum()} sample(s); a test needs {_MIN_SAMPLES}.")
    logs = np.log2(counts.to_numpy() + _PSEUDOCOUNT)
    ratios = logs - logs.mean(axis=1, keepdims=True)
    shares = counts.to_numpy() / counts.to_numpy().sum(axis=1, keepdims=True)
    first, second = (ratios[side] for side in sides)
    spread = np.maximum(first.var(axis=0), second.var(axis=0)) > 0
    found = stats.ttest_ind(first[:, spread], second[:, spread])
    score, p_value = np.zeros(len(spread)), np.ones(len(spread))
    score[spread], p_value[spread] = found.statistic, found.pvalue
    return pd.DataFrame(
        {
            "category": pd.Categorical(counts.columns.astype(str), categories=list(counts.columns.astype(str))),
            "group": pd.Categorical([group] * counts.shape[1]),
            "reference": pd.Categorical([reference] * counts.shape[1]),
            "proportion": shares[sides[0]].mean(axis=0),
            "proportion_reference": shares[sides[1]].mean(axis=0),
            "log2_ratio": first.mean(axis=0) - second.mean(axis=0),
            "score": score,
            "p_value": p_value,
            "p_adjusted": stats.false_discovery_control(p_value),
        }
    )
