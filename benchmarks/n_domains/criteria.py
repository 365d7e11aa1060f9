"""Criteria that choose a number of domains in a representation."""

import numpy as np
from anndata import AnnData
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

import spotscape as sps
from spotscape.tl._choose_n_domains import finest_peak

CANDIDATES = range(2, 16)
#: Numbers of standard errors within which a coarser peak counts as high as the highest, besides the one of the rule.
N_ERRORS = (0.6, 0.8, 1.2, 1.5)


def choose(adata: AnnData) -> dict[str, int]:
    """Numbers that all criteria choose in ``obsm["X_spotscape"]``, by their names in the results."""
    chosen = {"chosen": sps.tl.choose_n_domains(adata, n_domains=CANDIDATES)}
    splits = adata.uns["n_domains"]["splits"]
    chosen |= {f"{n_errors} errors": CANDIDATES[finest_peak(splits, n_errors)] for n_errors in N_ERRORS}
    chosen["largest mean"] = CANDIDATES[int(splits.mean(axis=1).argmax())]
    return chosen | older_criteria(adata.obsm["X_spotscape"])


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
