"""Soft clusters that sharpen themselves."""

import torch
from torch import Tensor

from spotscape.nn._prototypes import find_prototypes, nearest_prototype


def soft_assignment(latent: Tensor, centres: Tensor) -> Tensor:
    r"""Probability of each cluster, by Student's t distribution around its centre :cite:p:`Xie2016`.

    .. math::

        q_{ij} = \frac{(1 + \lVert z_i - \mu_j \rVert^2)^{-1}}{\sum_{j'} (1 + \lVert z_i - \mu_{j'} \rVert^2)^{-1}}

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    centres
        Centres :math:`\mu_j`. ``(n_clusters, n_latent)``.

    Returns
    -------
    Probabilities, which sum to 1 for each spot. ``(n_spots, n_clusters)``.
    """
    squared_distance = torch.stack([(latent - centre).square().sum(dim=1) for centre in centres], dim=1)
    kernel = 1 / (1 + squared_distance)
    return kernel / kernel.sum(dim=1, keepdim=True)


def target_distribution(assignment: Tensor) -> Tensor:
    r"""Sharpened probabilities that the clusters are drawn to :cite:p:`Xie2016`.

    .. math::

        p_{ij} = \frac{q_{ij}^2 / f_j}{\sum_{j'} q_{ij'}^2 / f_{j'}}, \qquad f_j = \sum_i q_{ij}

    Parameters
    ----------
    assignment
        Probabilities :math:`q` of all spots. ``(n_spots, n_clusters)``.

    Returns
    -------
    ``(n_spots, n_clusters)``, without gradient.
    """
    assignment = assignment.detach()
    sharpened = assignment.square() / assignment.sum(dim=0).clamp(min=torch.finfo(assignment.dtype).tiny)
    return sharpened / sharpened.sum(dim=1, keepdim=True)


def clustering_loss(assignment: Tensor, target: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of the probabilities from their target, for each spot :cite:p:`Xie2016`.

    .. math:: L_i = \sum_j p_{ij} \log \frac{p_{ij}}{q_{ij}}

    Parameters
    ----------
    assignment, target
        Probabilities :math:`q` and :math:`p`. Each is ``(n_spots, n_clusters)``.

    Returns
    -------
    ``(n_spots,)``.
    """
    return (torch.xlogy(target, target) - target * assignment.log()).sum(dim=1)


def find_centres(latent: Tensor, n_clusters: int, *, n_init: int = 20, generator: torch.Generator) -> Tensor:
    """Centres to start from: the best of several k-means.

    Parameters
    ----------
    latent
        Latent representation of all spots. ``(n_spots, n_latent)``.
    n_clusters
        Number of clusters, at most ``n_spots``.
    n_init
        Number of k-means, of which the tightest is kept.
    generator
        Source of randomness, on the device of ``latent``.

    Returns
    -------
    ``(n_clusters, n_latent)``.
    """

    def spread(centres: Tensor) -> float:
        return float((latent - centres[nearest_prototype(latent, centres)]).square().sum())

    candidates = (find_prototypes(latent, n_clusters, n_iterations=100, generator=generator) for _ in range(n_init))
    return min(candidates, key=spread)
