"""A simulated tissue measured by two modalities, neither of which separates all kinds of spots."""

from collections.abc import Collection
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from spotscape._arguments import check_call
from spotscape._validate import check_integer
from spotscape.datasets._assembly import assemble, check_common, spawn_generators
from spotscape.datasets._geometry import draw_section

N_FACTORS = 10
#: Standard deviation of the factors between the groups of a modality; within a group it is 1.
SEPARATION = 0.6
LOADING = 0.25
COUNTS_PER_GENE = 2.0
LIBRARY_SD = 0.35
DISPERSION = 0.2
IMAGE_NOISE = 0.5
#: Standard deviations of the slice shifts, of log expression and of image features in units of their own spread.
BATCH_EFFECTS = {"none": 0.0, "weak": 0.2, "strong": 1.0}


def synthetic_modalities(
    n_slices: int = 4,
    n_spots: int = 900,
    *,
    n_kinds: int = 8,
    n_genes: int = 200,
    n_image_features: int = 30,
    batch_effect: float | Literal["none", "weak", "strong"] = "weak",
    slices_without_image: Collection[int] = (),
    positions: Literal["lattice", "scattered"] = "lattice",
    seed: int = 0,
) -> AnnData:
    r"""Simulate slices with expression and image features, each of which separates only half of the kinds of spots.

    As in the simulation of MUSE :cite:p:`Bao2022`, kinds of spots are merged in each modality. Expression does not
    separate kinds 1 and 2, 3 and 4, and so on; image features do not separate kinds 2 and 3, 4 and 5, and so on, nor
    the last from the first. Both together separate all kinds. The geometry is that of :func:`synthetic_tissue`, layers
    and patches, with another arrangement and other shares in each slice. Single spots separate the groups of a modality
    poorly, neighbourhoods separate them well.

    Parameters
    ----------
    n_slices
        Number of slices. Asking for more leaves the first ones unchanged.
    n_spots
        Spots **per slice**, at least 30 and at least 4 per kind.
    n_kinds
        Number of kinds, 4 to 20 and even; ``n_kinds // 3`` are patches, the others layers.
    n_genes, n_image_features
        Number of genes, at least 20, and of image features, at least 10.
    batch_effect
        Standard deviation :math:`\beta` of the shifts between slices, 0 to 5. ``"none"`` is 0, ``"weak"`` 0.2 and
        ``"strong"`` 1, with which slices differ more than kinds.
    slices_without_image
        Indices (from 0) of slices without image features. Everything else is unchanged.
    positions
        ``"lattice"``: hexagonal, with a pitch of 100 µm; ``"scattered"``: each spot displaced at random by a Gaussian
        of 35 µm.
    seed
        Random seed, 0 or more.

    Returns
    -------
    AnnData
        ``n_slices * n_spots`` spots and ``n_genes`` genes, with

        * ``X`` and ``layers["counts"]``: the counts, two independent CSR matrices of ``float32``;
        * ``obsm["X_image"]``: image features, ``float32``, NaN in slices without an image;
        * ``obsm["spatial"]``: coordinates in micrometres; each slice starts at 0;
        * ``obs["slice"]``, ``obs["kind"]``: categorical, slice and true kind;
        * ``obs["rna_group"]``, ``obs["image_group"]``: the groups that each modality separates;
        * ``uns["synthetic_modalities"]``: the parameters.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Notes
    -----
    A spot :math:`i` of slice :math:`s`, in group :math:`a_i` of expression and group :math:`b_i` of the image, has
    factors :math:`u_i \sim \mathcal{N}(c_{a_i}, I)` and :math:`v_i \sim \mathcal{N}(d_{b_i}, I)` in ten
    dimensions, with centres from :math:`\mathcal{N}(0, 0.6^2 I)`. With random loadings :math:`P` and
    :math:`Q`, standard normal :math:`z_s`, :math:`t_s` and :math:`r_s`, and library sizes :math:`\ell_i`,

    .. math::

        \eta_{ig} &= \beta_g + 0.25\, u_i^\top P_g + \beta z_{sg}, \qquad
        y_{ig} \sim \mathrm{NB}\left(\ell_i \frac{e^{\eta_{ig}}}{\sum_h e^{\eta_{ih}}},\ 0.2\right) \\
        x_{if} &= e^{\beta r_{sf} / 4}\, (v_i^\top Q_f / \sqrt{10} + 0.5\, \varepsilon_{if}) + \beta t_{sf}

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_modalities(n_slices=2, n_spots=100, n_genes=40, seed=0)
    >>> adata.shape, adata.obsm["X_image"].shape
    ((200, 40), (200, 30))
    >>> adata.obs[["kind", "rna_group", "image_group"]].nunique().tolist()
    [8, 4, 4]
    """
    check_call(synthetic_modalities, locals())
    strength = check_common(n_slices, batch_effect, BATCH_EFFECTS, positions, seed)
    check_integer(n_kinds, "n_kinds", minimum=4, maximum=20)
    if n_kinds % 2:
        raise ValueError(f"`n_kinds` is {n_kinds}; pass an even number, because kinds are merged in pairs.")
    check_integer(n_spots, "n_spots", minimum=max(30, 4 * n_kinds))
    check_integer(n_genes, "n_genes", minimum=20)
    check_integer(n_image_features, "n_image_features", minimum=10)
    without_image = _check_slices(slices_without_image, n_slices)

    tissue_rng, slice_rngs = spawn_generators(seed, n_slices)
    tissue = _Tissue(tissue_rng, n_kinds, n_genes, n_image_features)
    n_layers, shares = n_kinds - n_kinds // 3, np.full(n_kinds, 1 / n_kinds)
    sections, counts, images = [], [], []
    for index, (geometry_rng, counts_rng, image_rng) in enumerate(slice_rngs):
        section = draw_section(geometry_rng, n_spots, shares, n_layers, scattered=positions == "scattered")
        sections.append(section)
        counts.append(tissue.draw_counts(counts_rng, section.domain, strength))
        image = tissue.draw_image(image_rng, section.domain, strength)
        images.append(np.full_like(image, np.nan) if index in without_image else image)
    kinds = np.concatenate([section.domain for section in sections])
    labels = {"kind": kinds, "rna_group": tissue.rna_group[kinds], "image_group": tissue.image_group[kinds]}
    columns = {
        name: pd.Categorical.from_codes(codes, [f"{name}_{code + 1}" for code in range(codes.max() + 1)])
        for name, codes in labels.items()
    }
    adata = assemble(sections, counts, obs=columns)
    adata.obsm["X_image"] = np.concatenate(images)
    adata.uns["synthetic_modalities"] = {
        "n_slices": int(n_slices),
        "n_spots": int(n_spots),
        "n_kinds": int(n_kinds),
        "n_genes": int(n_genes),
        "n_image_features": int(n_image_features),
        "batch_effect": strength,
        "slices_without_image": np.asarray(sorted(without_image), dtype=int),
        "positions": str(positions),
        "seed": int(seed),
    }
    return adata


class _Tissue:
    """Properties common to all slices."""

    def __init__(self, rng: np.random.Generator, n_kinds: int, n_genes: int, n_image_features: int):
        kinds = np.arange(n_kinds)
        self.rna_group = kinds // 2
        self.image_group = (kinds + 1) % n_kinds // 2
        self.rna_centres = SEPARATION * rng.standard_normal((n_kinds // 2, N_FACTORS))
        self.image_centres = SEPARATION * rng.standard_normal((n_kinds // 2, N_FACTORS))
        self.baseline = rng.standard_normal(n_genes)
        self.rna_loadings = LOADING * rng.standard_normal((N_FACTORS, n_genes))
        self.image_loadings = rng.standard_normal((N_FACTORS, n_image_features)) / np.sqrt(N_FACTORS)

    def draw_counts(self, rng: np.random.Generator, kinds: NDArray[np.int64], strength: float) -> sparse.csr_matrix:
        n_genes = len(self.baseline)
        shift = strength * rng.standard_normal(n_genes)
        factors = self.rna_centres[self.rna_group[kinds]] + rng.standard_normal((len(kinds), N_FACTORS))
        expression = np.exp(self.baseline + factors @ self.rna_loadings + shift)
        library = COUNTS_PER_GENE * n_genes * np.exp(LIBRARY_SD * rng.standard_normal(len(kinds)))
        mean = expression * (library / expression.sum(axis=1))[:, None]
        counts = rng.poisson(rng.gamma(1 / DISPERSION, DISPERSION * mean))
        return sparse.csr_matrix(counts.astype(np.float32))

    def draw_image(self, rng: np.random.Generator, kinds: NDArray[np.int64], strength: float) -> NDArray[np.float32]:
        n_features = self.image_loadings.shape[1]
        shift, scale = rng.standard_normal((2, n_features)) * strength
        factors = self.image_centres[self.image_group[kinds]] + rng.standard_normal((len(kinds), N_FACTORS))
        features = factors @ self.image_loadings + IMAGE_NOISE * rng.standard_normal((len(kinds), n_features))
        return (np.exp(scale / 4) * features + shift).astype(np.float32)


def _check_slices(slices: Collection[int], n_slices: int) -> set[int]:
    if isinstance(slices, str) or not isinstance(slices, Collection):
        raise TypeError(f"`slices_without_image` is {slices!r}; pass a list of slice indices, such as [2].")
    for index in slices:
        check_integer(index, "slices_without_image", minimum=0, maximum=n_slices - 1)
    return {int(index) for index in slices}
