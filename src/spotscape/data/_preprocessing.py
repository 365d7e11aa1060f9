"""From counts to the features a model reads, and back to genes: one fitted object that is saved with the model."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.data._counts import VALUES, check_values, spot_totals
from spotscape.data._gene_selection import gene_moments, select_genes, slice_codes

# Up to this many genes (or spots) the exact decomposition of a small matrix is faster than an iterative one.
_EXACT_SIZE = 1000
_BLOCK = 1024
_SETTINGS = ("n_top_genes", "n_components", "features", "scale_power", "target_sum", "max_value")
_FITTED = (
    "_values", "_gene_names", "_selected", "_target", "_constant", "_given_size_factors", "_ceiling",
    "_projection", "_offset", "_mean", "_loadings",
)  # fmt: skip


def default_n_components(n_spots: int, n_genes: int) -> int:
    r"""Number of principal components for a section of ``n_spots`` spots and ``n_genes`` selected genes.

    :math:`0.8 \sqrt{n_\mathrm{spots}}`, rounded, between 10 and 50 and below both sizes: the directions that rise
    above sampling noise grow with the section. With several slices ``n_spots`` is the median slice size.
    """
    check_integer(n_spots, "n_spots", minimum=1)
    check_integer(n_genes, "n_genes", minimum=1)
    return max(1, min(int(np.clip(round(0.8 * np.sqrt(n_spots)), 10, 50)), min(n_spots, n_genes) - 1))


class Preprocessor:
    r"""Gene selection, library size, logarithm, scaling and principal components, fitted once and inverted on demand.

    Counts :math:`x_{ig}` of spot :math:`i` with size factor :math:`s_i` become log expression and scores

    .. math:: y_{ig} = \log\left(1 + \frac{T}{s_i} x_{ig}\right), \qquad
        z_{ig} = \min\left(\frac{y_{ig} - \mu_g}{\sigma_g}, z_\mathrm{max}\right), \qquad
        t_{ik} = \frac{\sum_g (z_{ig} - \bar z_g) v_{gk}}{\lambda_k^{p / 2}}

    with target sum :math:`T`, principal axes :math:`v_k` of variance :math:`\lambda_k` and scale power :math:`p`.
    Centring is never carried out on the matrix, which stays sparse throughout.

    Parameters
    ----------
    n_top_genes
        Genes to select, by :func:`select_genes`. 3000 as in the published methods; smaller panels are used whole.
    n_components
        Principal components. ``None`` follows the size of the section, see :func:`default_n_components`.
    features
        What :meth:`transform` returns: ``"components"``, or the log expression of the selected ``"genes"``.
    scale_power
        Each component is divided by its standard deviation to this power. 0 keeps plain principal components, 1
        whitens them; 0.5 keeps their order but lets the later ones be heard. Scaled components make a squared error
        a weighted one. Not used where features are genes, other than to predict the genes that were not selected.
    target_sum
        Total to which every spot is scaled before the logarithm. ``None`` is the median size factor at fit, which
        keeps counts near their measured size; a common published choice is 1e4. Not for log-normalised input.
    max_value
        Z-scores above this many standard deviations are cut, so that one spot cannot make a component of its own.
    """

    def __init__(
        self,
        *,
        n_top_genes: int = 3000,
        n_components: int | None = None,
        features: Literal["components", "genes"] = "components",
        scale_power: float = 0.5,
        target_sum: float | None = None,
        max_value: float = 10.0,
    ) -> None:
        check_integer(n_top_genes, "n_top_genes", minimum=1)
        if n_components is not None:
            check_integer(n_components, "n_components", minimum=1)
        check_choice(features, ("components", "genes"), "features")
        check_number(scale_power, "scale_power", minimum=0, maximum=1)
        for name, value in (("target_sum", target_sum), ("max_value", max_value)):
            if value is not None or name == "max_value":
                check_number(value, name, minimum=0)
                if value == 0:
                    raise ValueError(f"`{name}` is 0; it must be above 0.")
        self.n_top_genes, self.n_components, self.features = n_top_genes, n_components, features
        self.scale_power, self.target_sum_setting, self.max_value = scale_power, target_sum, max_value
        self._fitted = False
