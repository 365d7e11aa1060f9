"""Prototypes of the latent space and the loss that draws spots to them."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def prototypical_contrastive_loss(
    latent: Tensor, prototypes: Tensor, assignment: Tensor, *, temperature: float = 0.75
) -> Tensor:
    r"""Draw each spot to its prototype and away from the others.

    .. math::

        L = -\frac{1}{N} \sum_i \log
            \frac{\exp(\cos(z_i, c_{a_i}) / \tau)}{\sum_j \exp(\cos(z_i, c_j) / \tau)}

    with the assignment :math:`a_i` of the spot in the other view :cite:p:`Oh2025,Li2021`.

    Parameters
    ----------
    latent
        Latent representation of one view. ``(n_spots, n_latent)``.
    prototypes
        Centres :math:`c_j`. ``(n_prototypes, n_latent)``.
    assignment
        Prototype of each spot, found in the other view. ``(n_spots,)``, integers.
    temperature
        :math:`\tau`; smaller values draw harder.

    Returns
    -------
    Scalar loss.
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
    r"""Prototypes by Lloyd's k-means.

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    n_prototypes
        Number of prototypes, at most ``n_spots``.
    start
        Prototypes to start from, those of an earlier step. ``(n_prototypes, n_latent)``. If ``None``, spots are drawn
        by the k-means++ rule :cite:p:`Arthur2007`.
    n_iterations
        Largest number of iterations; fewer are made once the assignments stay.
    generator
        Source of randomness of the k-means++ rule, on the device of ``latent``.

    Returns
    -------
    Centres. ``(n_prototypes, n_latent)``.
    """
    centres = _draw_spread_out(latent, n_prototypes, generator) if start is None else start
    assignment = None
    for _ in range(n_iterations):
        distance = _squared_distance(latent, centres)
        nearest, updated = distance.min(dim=1)
        if assignment is not None and torch.equal(updated, assignment):
            break
        assignment = updated
        sizes = torch.bincount(assignment, minlength=n_prototypes)
        centres = torch.zeros_like(centres).index_add_(0, assignment, latent) / sizes.clamp(min=1)[:, None]
        empty = torch.nonzero(sizes == 0).squeeze(1)
        if len(empty):
            centres[empty] = latent[nearest.topk(len(empty)).indices]
    return centres


@torch.no_grad()
def nearest_prototype(latent: Tensor, prototypes: Tensor) -> Tensor:
    """Number of the prototype closest to each spot, in Euclidean distance. ``(n_spots,)``."""
    return _squared_distance(latent, prototypes).argmin(dim=1)


def _draw_spread_out(latent: Tensor, n_prototypes: int, generator: torch.Generator) -> Tensor:
    first = torch.randint(len(latent), (1,), generator=generator, device=latent.device)
    chosen = [latent[first[0]]]
    distance = (latent - chosen[0]).square().sum(dim=1)
    while len(chosen) < n_prototypes:
        weights = distance if distance.sum() > 0 else torch.ones_like(distance)
        # Drawing by the cumulative sum, since torch.multinomial refuses more than 2**24 spots.
        position = torch.rand((), generator=generator, device=latent.device, dtype=torch.float64)
        cumulative = weights.double().cumsum(0)
        index = torch.searchsorted(cumulative, position * cumulative[-1]).clamp(max=len(latent) - 1)
        chosen.append(latent[index])
        distance = torch.minimum(distance, (latent - chosen[-1]).square().sum(dim=1))
    return torch.stack(chosen)


def _squared_distance(latent: Tensor, prototypes: Tensor) -> Tensor:
    lengths = latent.square().sum(dim=1, keepdim=True) + prototypes.square().sum(dim=1)
    return (lengths - 2 * latent @ prototypes.T).clamp(min=0)
