"""The loss that aligns the similarities of all pairs of spots between two views."""

from torch import Tensor
from torch.nn.functional import normalize


def similarity_telescope_loss(latent_1: Tensor, latent_2: Tensor) -> Tensor:
    r"""Mean squared difference between the similarity of every pair of spots and that of the mirrored pair.

    With :math:`a` and :math:`b` the rows of the two views scaled to unit length and
    :math:`S = a b^\top`, the published loss :cite:p:`Oh2025` is

    .. math::

        L = \frac{1}{N^2} \sum_{i,j} (S_{ij} - S_{ji})^2
          = \frac{\operatorname{tr}(w^\top w \, u^\top u) - \operatorname{tr}(u^\top w \, u^\top w)}{2 N^2},
        \qquad u = a + b, \quad w = a - b.

    The right-hand side needs only matrices of size :math:`d \times d`: time is :math:`O(N d^2)` and no matrix of all
    pairs is ever built. It is written in sums and differences because
    :math:`2(\lVert S \rVert^2 - \operatorname{tr} S S)` subtracts two nearly equal numbers.

    Parameters
    ----------
    latent_1, latent_2
        Latent representations of the same spots in two views. Each is ``(n_spots, n_latent)``.

    Returns
    -------
    Scalar loss.
    """
    a, b = normalize(latent_1), normalize(latent_2)
    total, difference = (a + b).double(), (a - b).double()
    cross = total.T @ difference
    gram_product = (difference.T @ difference) * (total.T @ total)
    loss = (gram_product - cross * cross.T).sum() / (2 * len(a) ** 2)
    return loss.to(latent_1.dtype)
