"""Deep embedded clustering: soft cluster assignments that are trained towards their own sharpened version."""

import torch
from torch import Tensor

from spotscape.nn._prototypes import find_prototypes, nearest_prototype


def soft_assignment(latent: Tensor, centres: Tensor) -> Tensor:
    r"""Probability of each cluster, by a Student's t kernel around its centre :cite:p:`Xie2016`.

    .. math::

        q_{ij} = \frac{(1 + \lVert z_i - \mu_j \rVert^2)^{-1}}{\sum_{j'} (1 + \lVert z_i - \mu_{j'} \rVert^2)^{-1}}

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    centres
        Cluster centres :math:`\mu_j`. ``(n_clusters, n_latent)``.

    Returns
    -------
    Probabilities, which sum to 1 for each spot. ``(n_spots, n_clusters)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> latent = torch.tensor([[0.0], [1.5], [3.0]])
    >>> nn.soft_assignment(latent, centres=torch.tensor([[0.0], [3.0]]))
    tensor([[0.9091, 0.0909],
            [0.5000, 0.5000],
            [0.0909, 0.9091]])
    """
    squared_distance = torch.stack([(latent - centre).square().sum(dim=1) for centre in centres], dim=1)
    kernel = 1 / (1 + squared_distance)
    return kernel / kernel.sum(dim=1, keepdim=True)


def target_distribution(assignment: Tensor) -> Tensor:
    r"""Sharpened cluster probabilities, the target of :func:`clustering_loss` :cite:p:`Xie2016`.

    .. math::

        p_{ij} = \frac{q_{ij}^2 / f_j}{\sum_{j'} q_{ij'}^2 / f_{j'}}, \qquad f_j = \sum_i q_{ij}

    Parameters
    ----------
    assignment
        Probabilities :math:`q` of all spots. ``(n_spots, n_clusters)``.

    Returns
    -------
    Probabilities :math:`p`, without gradient. ``(n_spots, n_clusters)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.target_distribution(torch.tensor([[0.8, 0.2], [0.2, 0.8]]))
    tensor([[0.9412, 0.0588],
            [0.0588, 0.9412]])
    """
    assignment = assignment.detach()
    sharpened = assignment.square() / assignment.sum(dim=0).clamp(min=torch.finfo(assignment.dtype).tiny)
    return sharpened / sharpened.sum(dim=1, keepdim=True)


def clustering_loss(assignment: Tensor, target: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of the target from the cluster probabilities of each spot :cite:p:`Xie2016`.

    .. math:: L_i = \sum_j p_{ij} \log \frac{p_{ij}}{q_{ij}}

    Parameters
    ----------
    assignment, target
        Probabilities :math:`q` and :math:`p`. Each is ``(n_spots, n_clusters)``.

    Returns
    -------
    Loss of each spot. ``(n_spots,)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> assignment = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    >>> nn.clustering_loss(assignment, nn.target_distribution(assignment))
    tensor([0.0810, 0.0810])
    """
    return (torch.xlogy(target, target) - target * assignment.log()).sum(dim=1)


def find_centres(latent: Tensor, n_clusters: int, *, n_init: int = 20, generator: torch.Generator) -> Tensor:
    """Initial cluster centres: the best of several runs of k-means.

    Parameters
    ----------
    latent
        Latent representation of all spots. ``(n_spots, n_latent)``.
    n_clusters
        Number of clusters, at most ``n_spots``.
    n_init
        Number of k-means runs. The run with the smallest within-cluster sum of squares is kept.
    generator
        Random number generator on the device of ``latent``.

    Returns
    -------
    Cluster centres. ``(n_clusters, n_latent)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> latent = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    >>> nn.find_centres(latent, 2, generator=torch.Generator().manual_seed(0)).sort(dim=0).values
    tensor([[ 1.],
            [11.]])
    """

    def sum_of_squares(centres: Tensor) -> float:
        return float((latent - centres[nearest_prototype(latent, centres)]).square().sum())

    candidates = (find_prototypes(latent, n_clusters, n_iterations=100, generator=generator) for _ in range(n_init))
    return min(candidates, key=sum_of_squares)
