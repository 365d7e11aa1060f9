"""A made-up tissue seen by two modalities, neither of which tells all its kinds of spots apart."""

from collections.abc import Collection
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.datasets._geometry import Section, draw_section

PITCH_UM = 100.0
N_FACTORS = 10
#: Standard deviation of the factors between the groups of a modality; it is 1 within a group.
SEPARATION = 0.6
LOADING = 0.25
COUNTS_PER_GENE = 2.0
LIBRARY_SD = 0.35
DISPERSION = 0.2
IMAGE_NOISE = 0.5
#: Standard deviations of the shifts: of log expression, and of image features in units of their own spread.
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
    r"""Draw several slices of a tissue with expression and image features, each blind to half of what there is.

    As in the simulation of MUSE :cite:p:`Bao2022`, kinds of spots are merged in each modality: expression cannot tell
    the first kind from the second, the third from the fourth and so on; image features cannot tell the second from the
    third, the fourth from the fifth, and the last from the first. Both together tell all kinds apart. Kinds lie as the
    domains of :func:`synthetic_tissue` do, layers and patches, in another arrangement and with other shares in each
    slice. Single spots tell even the groups of a modality poorly, neighbourhoods do well.

    Parameters
    ----------
    n_slices
        Number of slices. Asking for more leaves the first ones as they were.
    n_spots
        Spots **per slice**, at least 30 and at least 4 per kind.
    n_kinds
        Number of kinds, 4 to 20 and even; ``n_kinds // 3`` are patches, the others layers.
    n_genes, n_image_features
        Number of genes and of image features, at least 20 and 10.
    batch_effect
        Standard deviation :math:`\beta` of the shifts of a slice, 0 to 5. ``"none"`` is 0, ``"weak"`` 0.2, and
        ``"strong"`` 1, with which slices lie farther apart than kinds do.
    slices_without_image
        Indices (from 0) of slices whose image features are missing; all else stays as it is.
    positions
        ``"lattice"``: hexagonal, with a pitch of 100 µm; ``"scattered"``: each spot moved at random by 35 µm.
    seed
        Seed of all randomness, 0 or more.

    Returns
    -------
    AnnData
        ``n_slices * n_spots`` spots and `n_genes` genes, with

        * ``X`` and ``layers["counts"]``: the counts, two independent CSR matrices of ``float32``;
        * ``obsm["X_image"]``: image features, ``float32``, NaN in slices without an image;
        * ``obsm["spatial"]``: coordinates in micrometres; each slice starts at 0;
        * ``obs["slice"]``, ``obs["kind"]``: categorical, the kind being the truth;
        * ``obs["rna_group"]``, ``obs["image_group"]``: what each modality can tell apart;
        * ``uns["synthetic_modalities"]``: the parameters.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range.

    Notes
    -----
    A spot :math:`i` of slice :math:`s` whose kind is of the groups :math:`a_i` of expression and :math:`b_i` of the
    image has factors :math:`u_i \sim \mathcal{N}(c_{a_i}, I)` and :math:`v_i \sim \mathcal{N}(d_{b_i}, I)` in ten
    dimensions, the centres being drawn from :math:`\mathcal{N}(0, 0.6^2 I)`. With random loadings :math:`P` and
    :math:`Q`, standard normal :math:`z_s`, :math:`t_s` and :math:`r_s`, and library sizes :math:`\ell_i`,

    .. math::

        \eta_{ig} &= \beta_g + 0.25\, u_i^\top P_g + \beta z_{sg}, \qquad
        y_{ig} \sim \mathrm{NB}\left(\ell_i \frac{e^{\eta_{ig}}}{\sum_h e^{\eta_{ih}}},\ 0.2\right) \\
        x_{if} &= e^{\beta r_{sf} / 4}\, (v_i^\top Q_f / \sqrt{10} + 0.5\, \varepsilon_{if}) + \beta t_{sf}
    """
    strength = _check_arguments(n_slices, n_spots, n_kinds, n_genes, n_image_features, batch_effect, positions, seed)
    without = _check_slices(slices_without_image, n_slices)
    tissue_stream, *slice_streams = np.random.SeedSequence(int(seed)).spawn(int(n_slices) + 1)
    tissue = _Tissue(np.random.default_rng(tissue_stream), n_kinds, n_genes, n_image_features)
    sections, counts, images = [], [], []
    for index, stream in enumerate(slice_streams):
        geometry_rng, counts_rng, image_rng = (np.random.default_rng(child) for child in stream.spawn(3))
        n_layers = n_kinds - n_kinds // 3
        shares = np.full(n_kinds, 1 / n_kinds)
        section = draw_section(
            geometry_rng,
            n_spots,
            layer_shares=shares[:n_layers],
            patch_shares=shares[n_layers:],
            missing=(),
            scattered=positions == "scattered",
            pitch=PITCH_UM,
        )
        sections.append(section)
        counts.append(tissue.draw_counts(counts_rng, section.domain, strength))
        image = tissue.draw_image(image_rng, section.domain, strength)
        images.append(np.full_like(image, np.nan) if index in without else image)
    adata = _assemble(tissue, sections, sparse.vstack(counts, format="csr"), np.concatenate(images))
    adata.uns["synthetic_modalities"] = {
        "n_slices": int(n_slices),
        "n_spots": int(n_spots),
        "n_kinds": int(n_kinds),
        "n_genes": int(n_genes),
        "n_image_features": int(n_image_features),
        "batch_effect": strength,
        "slices_without_image": np.asarray(sorted(without), dtype=int),
        "positions": str(positions),
        "seed": int(seed),
    }
    return adata


class _Tissue:
    """What all slices share."""

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


def _assemble(
    tissue: _Tissue, sections: list[Section], counts: sparse.csr_matrix, image: NDArray[np.float32]
) -> AnnData:
    n_slices, n_spots = len(sections), len(sections[0].domain)
    kinds = np.concatenate([section.domain for section in sections])
    names = [f"slice_{index + 1}" for index in range(n_slices)]
    labels = {"kind": kinds, "rna_group": tissue.rna_group[kinds], "image_group": tissue.image_group[kinds]}
    columns = {
        name: pd.Categorical.from_codes(codes, [f"{name}_{code + 1}" for code in range(codes.max() + 1)])
        for name, codes in labels.items()
    }
    slices = pd.Categorical.from_codes(np.repeat(np.arange(n_slices), n_spots), names)
    width = len(str(n_spots))
    obs = pd.DataFrame(
        {"slice": slices} | columns,
        index=[f"{name}_spot_{spot + 1:0{width}}" for name in names for spot in range(n_spots)],
    )
    width = len(str(counts.shape[1]))
    var = pd.DataFrame(index=[f"gene_{gene + 1:0{width}}" for gene in range(counts.shape[1])])
    adata = AnnData(X=counts, obs=obs, var=var)
    # A copy: functions that normalise X in place must not reach the counts.
    adata.layers["counts"] = counts.copy()
    adata.obsm["spatial"] = np.concatenate([section.positions for section in sections])
    adata.obsm["X_image"] = image
    return adata


def _check_arguments(
    n_slices: int,
    n_spots: int,
    n_kinds: int,
    n_genes: int,
    n_image_features: int,
    batch_effect: float | str,
    positions: str,
    seed: int,
) -> float:
    """Raise on the first argument that cannot be used; return the batch effect as a number."""
    check_integer(n_slices, "n_slices", minimum=1)
    check_integer(n_kinds, "n_kinds", minimum=4, maximum=20)
    if n_kinds % 2:
        raise ValueError(f"`n_kinds` is {n_kinds}; pass an even number, since kinds are merged in pairs.")
    check_integer(n_spots, "n_spots", minimum=max(30, 4 * n_kinds))
    check_integer(n_genes, "n_genes", minimum=20)
    check_integer(n_image_features, "n_image_features", minimum=10)
    if isinstance(batch_effect, str):
        check_choice(batch_effect, BATCH_EFFECTS, "batch_effect")
        batch_effect = BATCH_EFFECTS[batch_effect]
    check_number(batch_effect, "batch_effect", minimum=0.0, maximum=5.0)
    check_choice(positions, ("lattice", "scattered"), "positions")
    check_integer(seed, "seed", minimum=0)
    return float(batch_effect)


def _check_slices(slices: Collection[int], n_slices: int) -> set[int]:
    if isinstance(slices, str) or not isinstance(slices, Collection):
        raise TypeError(f"`slices_without_image` is {slices!r}; pass a list of indices of slices, such as [2].")
    for index in slices:
        check_integer(index, "slices_without_image", minimum=0, maximum=n_slices - 1)
    return {int(index) for index in slices}
