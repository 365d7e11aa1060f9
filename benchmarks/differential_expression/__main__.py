"""False positives and power of ``tl.differential_expression`` on simulated replicates.

    python -m benchmarks.differential_expression --simulations 1000 --out DIR

The built-in tissue is given variation between replicates. Without a difference, the share of p values below .05 should
be .05: between two conditions with four, six and eight slices, between halves of the slices (paired), and for the
rank-sum test over spots, which takes spots for replicates. With a difference between three and three slices in one
domain, the share of the genes that are found at a false discovery rate of .05 is the power, and other domains should
have no findings. Each takes as many simulations as asked for, the rank-sum test and the differences a tenth.
DIR/results.csv has a row per block of simulations, and what is there is not computed again. DIR/summary.md has the
tables.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.processes import one_thread
from benchmarks.differential_expression.measures import count, results_of, summarize
from benchmarks.differential_expression.simulation import (
    Planted,
    Variation,
    base_tissue,
    random_halves,
    simulate,
)

_BLOCK = 50
_DOMAIN = "layer_2"


@dataclass(frozen=True)
class Case:
    """One row of the tables."""

    experiment: str
    method: str
    n_slices: int
    between: float = 0.2
    log2_fold_change: float = 0.0


CASES = (
    *(Case("conditions", "pseudobulk", n_slices) for n_slices in (4, 6, 8)),
    Case("halves", "pseudobulk", 4),
    Case("halves", "pseudobulk", 8),
    Case("conditions", "rank sum over spots", 8),
    *(
        Case("planted", "pseudobulk", 6, between, log2_fold_change)
        for between in (0.1, 0.2, 0.3)
        for log2_fold_change in (1.0, 1.5, 2.0)
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all simulations that are not there yet, and write the tables."""
    options = _parse(arguments)
    results = results_of(options.out)
    done = results.done()
    with one_thread(), warnings.catch_warnings():
        # That spots are no replicates is what is measured, and small simulated slices may lack a domain.
        for message in ("There are no replicates", "Replicates without", "Not tested"):
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
        for case in CASES:
            few = case.experiment == "planted" or case.method != "pseudobulk"
            total = max(1, options.simulations // 10) if few else options.simulations
            for block in range(-(-total // _BLOCK)):
                key = {name: getattr(case, name) for name in Case.__dataclass_fields__} | {"block": block}
                if tuple(key.values()) in done:
                    continue
                results.write([key | _block(case, block, min(_BLOCK, total - block * _BLOCK), options)])
                print(*key.values(), flush=True)
    (options.out / "summary.md").write_text(summarize(results.read()), encoding="utf-8")
    return 0


def _block(case: Case, block: int, n_simulations: int, options: argparse.Namespace) -> Counter:
    """Sums over some simulations, each block with a tissue of its own."""
    tissue = base_tissue(case.n_slices, options.spots, options.genes, seed=block)
    rng = np.random.default_rng([block, case.n_slices, int(100 * case.between), int(10 * case.log2_fold_change)])
    planted = Planted(_DOMAIN, case.log2_fold_change) if case.log2_fold_change else None
    sums: Counter = Counter()
    for _ in range(n_simulations):
        adata, differs = simulate(tissue, Variation(case.between, case.between / 2), planted, rng)
        if case.experiment == "halves":
            # Halves of one domain, so that they do not differ in their share of other domains.
            adata = adata[adata.obs["domain"] == _DOMAIN].copy()
            adata.obs["half"] = random_halves(adata, rng)
            sps.tl.differential_expression(
                adata, "left", replicate="slice", domain_key="half", reference_domain="right"
            )
        else:
            replicate = "slice" if case.method == "pseudobulk" else None
            sps.tl.differential_expression(adata, None, "condition", replicate, domain_key="domain")
        sums.update(count(adata, _DOMAIN if planted else None, differs))
    return sums


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("differential_expression", __doc__)
    parser.add_argument("--simulations", type=int, default=1000, help="of each comparison (default: 1000)")
    parser.add_argument("--spots", type=int, default=500, help="spots per slice (default: 500)")
    parser.add_argument("--genes", type=int, default=300, help="number of genes (default: 300)")
    return shared.parse(parser, arguments, positive=("simulations", "spots", "genes"))


if __name__ == "__main__":
    sys.exit(main())
