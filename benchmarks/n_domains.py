"""Numbers of domains chosen without annotations, beside the annotated ones.

    python benchmarks/n_domains.py [FILES...] [--model SEDR] [--size-factor-key total] --seeds 3 --out FILE.csv

Each annotated slice of a file, all of them together and, with --synthetic, six built-in tissues are embedded by a
model, ``SPOTSCAPE`` unless said, with its defaults. ``tl.choose_n_domains`` and three older criteria then choose from
2 to 15 domains; a row of FILE.csv is one representation. Labels are counted for comparison and used for nothing else.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from _sections import Keys, find_sections, load_section
from _variants import MODELS
from anndata import AnnData
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

import spotscape as sps
from spotscape.tl._choose_n_domains import finest_peak

CANDIDATES = range(2, 16)
N_ERRORS = (0.6, 0.8, 1.2, 1.5)
SYNTHETIC = (
    {"n_slices": 2, "n_spots": 1500, "n_domains": 4, "seed": 1},
    {"n_slices": 1, "n_spots": 2500, "n_domains": 5, "seed": 2},
    {"n_slices": 4, "n_spots": 2500, "n_domains": 7, "seed": 0},
    {"n_slices": 3, "n_spots": 1500, "n_domains": 7, "batch_effect": "strong", "seed": 3},
    {"n_slices": 2, "n_spots": 2000, "n_domains": 9, "seed": 4},
    {"n_slices": 3, "n_spots": 2000, "n_domains": 10, "seed": 5},
)


def older_criteria(representation: np.ndarray, seed: int = 0) -> dict[str, int]:
    """Choose by the BIC of the mixture, the silhouette and the gap statistic, on 12 principal components.

    Parameters
    ----------
    representation
        ``(n_spots, n_dimensions)``.
    seed
        Seed of all restarts and reference data.

    Returns
    -------
    Chosen number for each criterion.
    """
    rng = np.random.default_rng(seed)
    scores = PCA(min(12, *representation.shape), random_state=seed).fit_transform(representation)
    references = [rng.uniform(scores.min(axis=0), scores.max(axis=0), scores.shape) for _ in range(5)]
    bic, silhouette, gap, gap_error = [], [], [], []
    for number in CANDIDATES:
        means = KMeans(number, n_init=5, random_state=seed).fit(scores)
        mixture = GaussianMixture(
            number, covariance_type="tied", means_init=means.cluster_centers_, reg_covar=1e-6, max_iter=500
        )
        bic.append(mixture.fit(scores).bic(scores))
        n_compared = min(2000, len(scores))
        silhouette.append(silhouette_score(scores, means.labels_, sample_size=n_compared, random_state=seed))
        spreads = np.log(
            [KMeans(number, n_init=1, random_state=seed).fit(reference).inertia_ for reference in references]
        )
        gap.append(spreads.mean() - np.log(means.inertia_))
        gap_error.append(spreads.std() * np.sqrt(1 + 1 / len(references)))
    large_enough = [row for row in range(len(gap) - 1) if gap[row] >= gap[row + 1] - gap_error[row + 1]]
    return {
        "BIC": CANDIDATES[int(np.argmin(bic))],
        "silhouette": CANDIDATES[int(np.argmax(silhouette))],
        "gap": CANDIDATES[large_enough[0] if large_enough else -1],
    }


def tissues(files: Sequence[str], keys: Keys, synthetic: bool) -> Iterator[tuple[str, AnnData, str | None, int]]:
    """Yield name, data, key of the size factors and number of labels of each tissue."""
    for source in find_sections(files, [], keys):
        section = load_section(source, keys)
        yield source.name, section.adata, section.size_factor_key, section.n_domains
    for arguments in SYNTHETIC if synthetic else ():
        name = " ".join(f"{key}={value}" for key, value in arguments.items())
        yield name, sps.datasets.synthetic_tissue(**arguments), None, arguments["n_domains"]


def choose(
    adata: AnnData, size_factor_key: str | None, seed: int, max_epochs: int | None, name: str = "SPOTSCAPE"
) -> dict[str, int]:
    """Embed one tissue and let every criterion choose."""
    model_class = getattr(sps, name)
    model_class.setup_anndata(adata, slice_key="slice", size_factor_key=size_factor_key)
    model = model_class(adata, seed=seed)
    model.train(max_epochs, enable_progress_bar=False)
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    chosen = {"chosen": sps.tl.choose_n_domains(adata, n_domains=CANDIDATES)}
    splits = adata.uns["n_domains"]["splits"]
    chosen |= {f"{n_errors} errors": CANDIDATES[finest_peak(splits, n_errors)] for n_errors in N_ERRORS}
    chosen["largest mean"] = CANDIDATES[int(splits.mean(axis=1).argmax())]
    return chosen | older_criteria(adata.obsm["X_spotscape"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all tissues and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--model", choices=list(MODELS), default="SPOTSCAPE", help="default: SPOTSCAPE")
    parser.add_argument("--size-factor-key")
    parser.add_argument("--drop-label", action="append", default=[])
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-epochs", type=int)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    keys = Keys(size_factor=options.size_factor_key, dropped=tuple(options.drop_label))
    rows = []
    for name, adata, size_factor_key, n_labels in tissues(options.files, keys, options.synthetic):
        for seed in range(options.seeds):
            found = choose(adata, size_factor_key, seed, options.max_epochs, options.model)
            rows.append({"tissue": name, "model": options.model, "seed": seed, "n_labels": n_labels} | found)
            pd.DataFrame(rows).to_csv(options.out, index=False)
            print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
