"""Prototypes of the latent space by k-means, and the contrastive loss that pulls spots towards them."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def prototypical_contrastive_loss(
    latent: Tensor, prototypes: Tensor, assignment: Tensor, *, temperature: float = 0.75
) -> Tensor:
    r"""Pull each spot towards its own prototype and push it away from the others.

    .. math::

        L = -\frac{1}{N} \sum_i \log
            \frac{\exp(\cos(z_i, c_{a_i}) / \tau)}{\sum_j \exp(\cos(z_i, c_j) / \tau)}

    where :math:`a_i` is the prototype of the spot in the other view :cite:p:`Oh2025,Li2021`.

    Parameters
    ----------
    latent
        Latent representation of one view. ``(n_spots, n_latent)``.
    prototypes
        Cluster centres :math:`c_j`. ``(n_prototypes, n_latent)``.
    assignment
        Prototype :math:`a_i` of each spot in the other view. ``(n_spots,)``, integers.
    temperature
        :math:`\tau`; smaller values sharpen the assignment.

    Returns
    -------
    Scalar loss.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> latent = prototypes = torch.eye(2)
    >>> nn.prototypical_contrastive_loss(latent, prototypes, assignment=torch.tensor([0, 1]))
    tensor(0.2340)
    >>> nn.prototypical_contrastive_loss(latent, prototypes, assignment=torch.tensor([1, 0]))
    tensor(1.5673)
    """
    similarity = normalize(latent) @ normalize(prototypes).T
    return cross_entropy(similarity / temperature, assignment)


@torch.no_grad()
def find_prototypes(
    latent: Tensor,
    n_prototypes: int,
    *,
    start: Tensor | None = None,
    n_iterations: int = 20,
    generator: torch.Generator,
) -> Tensor:
    r"""Find prototypes with Lloyd's k-means algorithm.

    A prototype without spots is moved to one of the spots that are farthest from their own prototype.

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    n_prototypes
        Number of prototypes, at most ``n_spots``.
    start
        Initial prototypes, for example those of an earlier step. ``(n_prototypes, n_latent)``. ``None``: drawn from the
        spots by k-means++ :cite:p:`Arthur2007`.
    n_iterations
        Maximum number of iterations. The algorithm stops earlier once no assignment changes.
    generator
        Random number generator of k-means++ on the device of ``latent``.

    Returns
    -------
    Cluster centres. ``(n_prototypes, n_latent)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> latent = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    >>> nn.find_prototypes(latent, 2, generator=torch.Generator().manual_seed(0)).sort(dim=0).values
    tensor([[ 1.],
            [11.]])
    """
    centres = _k_means_plus_plus(latent, n_prototypes, generator) if start is None else start
    assignment = None
    for _ in range(n_iterations):
        smallest_distance, nearest = _squared_distance(latent, centres).min(dim=1)
        if assignment is not None and torch.equal(nearest, assignment):
            break
        assignment = nearest
        sizes = torch.bincount(assignment, minlength=n_prototypes)
        centres = torch.zeros_like(centres).index_add_(0, assignment, latent) / sizes.clamp(min=1)[:, None]
        empty = torch.nonzero(sizes == 0).squeeze(1)
        if len(empty):
            centres[empty] = latent[smallest_distance.topk(len(empty)).indices]
    return centres


@torch.no_grad()
def nearest_prototype(latent: Tensor, prototypes: Tensor) -> Tensor:
    """Assign each spot to the nearest prototype in Euclidean distance.

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    prototypes
        Cluster centres. ``(n_prototypes, n_latent)``.

    Returns
    -------
    Index of the nearest prototype of each spot. ``(n_spots,)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.nearest_prototype(torch.tensor([[0.0], [9.0]]), prototypes=torch.tensor([[10.0], [1.0]]))
    tensor([1, 0])
    """
    return _squared_distance(latent, prototypes).argmin(dim=1)


def _k_means_plus_plus(latent: Tensor, n_prototypes: int, generator: torch.Generator) -> Tensor:
    """Initial centres: spots drawn with probability proportional to the squared distance to the centres so far."""
    first = torch.randint(len(latent), (1,), generator=generator, device=latent.device)
    centres = [latent[first[0]]]
    distance = (latent - centres[0]).square().sum(dim=1)
    while len(centres) < n_prototypes:
        weights = distance if distance.sum() > 0 else torch.ones_like(distance)
        # Drawn by inverting the cumulative sum, because torch.multinomial fails above 2**24 spots.
        position = torch.rand((), generator=generator, device=latent.device, dtype=torch.float64)
        cumulative = weights.double().cumsum(0)
        index = torch.searchsorted(cumulative, position * cumulative[-1]).clamp(max=len(latent) - 1)
        centres.append(latent[index])
        distance = torch.minimum(distance, (latent - centres[-1]).square().sum(dim=1))
    return torch.stack(centres)


def _squared_distance(latent: Tensor, prototypes: Tensor) -> Tensor:
    squared_norms = latent.square().sum(dim=1, keepdim=True) + prototypes.square().sum(dim=1)
    return (squared_norms - 2 * latent @ prototypes.T).clamp(min=0)
