"""Domains read out of a representation, and how well they agree with labels."""

import warnings

import numpy as np
from anndata import AnnData
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

import spotscape as sps

KMEANS, MIXTURE, DEFAULT = "k-means", "mixture", "tl.domains"
READOUTS = (KMEANS, MIXTURE, DEFAULT)
#: Read-out of the papers, a mixture of all dimensions without a ridge; measured where it is asked for.
EEE = "EEE"


def find_domains(representation: np.ndarray, n_domains: int, *, readout: str, seed: int = 0) -> np.ndarray:
    """Find domains in a representation.

    Parameters
    ----------
    representation
        ``(n_spots, n_dimensions)``.
    n_domains
        Number of domains.
    readout
        ``"k-means"`` with 10 restarts; ``"mixture"``, a Gaussian mixture of one shared covariance on 20 principal
        components with 10 restarts; ``"tl.domains"``, that of the package with its defaults; or ``"EEE"``, that of the
        package with ``method="eee"``.
    seed
        Seed of the restarts.

    Returns
    -------
    Domain of each spot, all one where the representation has collapsed. ``(n_spots,)``.
    """
    if has_collapsed(representation, n_domains):
        return np.zeros(len(representation), dtype=int)
    if readout in (DEFAULT, EEE):
        adata = AnnData(obsm={"X_found_in": representation})
        with warnings.catch_warnings():
            # What is measured is the choice that is made, also where others are as good.
            warnings.filterwarnings("ignore", ".*fit as well as the chosen one")
            method = "mixture" if readout == DEFAULT else "eee"
            sps.tl.domains(adata, "X_found_in", n_domains, method=method, seed=seed)
        return adata.obs["spatial_domain"].to_numpy(str)
    if readout == KMEANS:
        return KMeans(n_domains, n_init=10, random_state=seed).fit_predict(representation)
    values = representation.astype(np.float64)
    scores = PCA(min(20, *values.shape), svd_solver="full").fit_transform(values)
    spread = scores.var(axis=0)
    # The mixture adds a fixed amount to its covariance: neither unit nor dead directions may matter.
    scores = scores[:, spread > 1e-10 * spread[0]] / np.sqrt(spread.mean())
    return GaussianMixture(n_domains, covariance_type="tied", n_init=10, random_state=seed).fit_predict(scores)


def has_collapsed(representation: np.ndarray, n_domains: int) -> bool:
    """Whether there are too few distinct spots to make the domains of."""
    return len(np.unique(representation, axis=0)) <= n_domains
