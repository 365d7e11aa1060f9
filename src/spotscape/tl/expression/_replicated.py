"""Tests between two groups of pseudobulk samples."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from spotscape.tl.expression._moderated import effective_library_sizes, is_expressed, log_cpm, moderated_t_test
from spotscape.tl.expression._pseudobulk import PseudoBulk

#: Fewest replicates of a group.
MIN_REPLICATES = 2


@dataclass(eq=False)
class Comparison:
    """Samples of two groups within one domain or between two.

    Parameters
    ----------
    group, reference
        Samples of the group, and of what it is compared with. If paired, in the same order of replicates.
    paired
        Whether the samples of a replicate are compared with each other.
    lacking
        Replicates that are left out, because they have too few spots in the domain.
    """

    group: PseudoBulk
    reference: PseudoBulk
    paired: bool
    lacking: list[str] = field(default_factory=list)

    @property
    def n_replicates(self) -> tuple[int, int]:
        """Number of replicates of the group and of its reference."""
        return len(self.group.samples), len(self.reference.samples)


def compare(
    bulk: PseudoBulk, group: str, reference: str, expected: set[str], *, paired: bool, min_spots: int
) -> Comparison:
    """Choose the samples of a comparison.

    Parameters
    ----------
    bulk
        Samples with the columns ``replicate``, ``group`` and ``n_spots``.
    group, reference
        Values of ``group``.
    expected
        Replicates that could have a sample.
    paired
        Whether to keep only replicates with a sample in both.
    min_spots
        Fewest spots of a sample.

    Returns
    -------
    The comparison, which may have too few replicates.
    """
    samples = bulk.samples
    enough = samples["n_spots"].to_numpy() >= min_spots
    sides = [
        {samples["replicate"][row]: row for row in np.flatnonzero(enough & (samples["group"] == name).to_numpy())}
        for name in (group, reference)
    ]
    if paired:
        both = sides[0].keys() & sides[1].keys()
        sides = [{name: row for name, row in side.items() if name in both} for side in sides]
    first, second = (bulk.select(np.array([side[name] for name in sorted(side)], dtype=int)) for side in sides)
    return Comparison(first, second, paired, sorted(expected - set(sides[0]) - set(sides[1])))


def run_comparison(comparison: Comparison, genes: pd.Index, min_counts: float) -> tuple[pd.DataFrame, float] | None:
    """Test each gene with enough counts.

    Parameters
    ----------
    comparison
        At least two samples on either side.
    genes
        Names of the genes.
    min_counts
        As in :func:`spotscape.tl.differential_expression`.

    Returns
    -------
    One row per tested gene, by increasing p value, and the prior degrees of freedom of the variances. ``None`` if no
    gene has enough counts.
    """
    group, reference = comparison.group, comparison.reference
    n_group, n_reference = comparison.n_replicates
    counts = np.concatenate([group.counts, reference.counts])
    keep = is_expressed(counts, min_counts, min(n_group, n_reference))
    if not keep.any():
        return None
    counts = counts[:, keep]
    sizes = effective_library_sizes(counts)
    if comparison.paired:
        # One coefficient per replicate, and the difference.
        design = np.concatenate([np.eye(n_group), np.eye(n_group)])
    else:
        design = np.ones((n_group + n_reference, 1))
    design = np.column_stack([design, np.repeat([1.0, 0.0], [n_group, n_reference])])
    contrast = np.eye(design.shape[1])[-1]
    found = moderated_t_test(log_cpm(counts, sizes), design, contrast)
    cpm = counts / sizes[:, None] * 1e6
    table = pd.DataFrame(
        {
            "gene": genes[keep].astype(str),
            "log2_fold_change": found.effect,
            "standard_error": found.standard_error,
            "score": found.statistic,
            "p_value": found.p_value,
            "p_adjusted": stats.false_discovery_control(found.p_value),
            "fraction": group.fractions[:, keep].mean(axis=0),
            "fraction_reference": reference.fractions[:, keep].mean(axis=0),
            "mean": cpm[:n_group].mean(axis=0),
            "mean_reference": cpm[n_group:].mean(axis=0),
        }
    )
    return table.sort_values("p_value", kind="stable", ignore_index=True), found.prior_df
