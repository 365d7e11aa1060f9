"""A simulated layered and patchy tissue with known domains."""

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._arguments import check_call
from spotscape._validate import check_integer, check_number
from spotscape.datasets._assembly import assemble, check_common, spawn_generators
from spotscape.datasets._expression import draw_counts, draw_tissue
from spotscape.datasets._geometry import PITCH_UM, draw_section

BATCH_EFFECTS = {"none": 0.0, "weak": 0.1, "strong": 0.5}
MAX_DOMAINS = 20
SPOTS_PER_DOMAIN = 4
GENES_PER_DOMAIN = 4


def synthetic_tissue(
    n_slices: int = 4,
    n_spots: int = 2500,
    *,
    n_genes: int = 300,
    n_domains: int = 7,
    batch_effect: float | Literal["none", "weak", "strong"] = "weak",
    missing_domains: Mapping[int, Collection[int]] | None = None,
    positions: Literal["lattice", "scattered"] = "lattice",
    counts_per_gene: float = 2.0,
    dropout: float = 0.2,
    seed: int = 0,
) -> AnnData:
    r"""Simulate slices of a tissue of layers and patches, whose domains are known.

    Each slice is a different section of the same tissue. Curved layers run across it (about two thirds of the domains)
    and patches lie on top; curvature, patch positions and rotation differ between slices. A domain has the same gene
    programs in all slices. As in real tissue, spots also vary within a domain, by a mixture of cell programs that is
    independent of position: single spots separate the domains poorly, neighbourhoods separate them well.

    Parameters
    ----------
    n_slices
        Number of slices. Slices are independent draws, so asking for more leaves the first ones unchanged.
    n_spots
        Spots **per slice**, at least 30 and at least 4 per domain.
    n_genes
        Number of genes, at least 33 and at least 4 per domain. The default is the size of an imaging panel, with which
        a model trains in seconds.
    n_domains
        Number of domains, 2 to 20: ``n_domains // 3`` patches, the others layers. All layers cover about the same share
        of the tissue, and a patch about three quarters of that.
    batch_effect
        Standard deviation :math:`\beta`, 0 to 5, of the log fold change of each gene in each slice; the log library
        size of a slice varies with :math:`\beta / 2`. ``"none"`` is 0. ``"weak"``, the default, is 0.1, with which
        domains differ more than slices. ``"strong"`` is 0.5, with which slices differ more than domains. Geometry and
        gene programs do not depend on it.
    missing_domains
        Domains absent from some slices: the indices of domains (from 0, in the order of
        ``adata.obs["domain"].cat.categories``) for the index of each such slice (from 0). Adjacent domains fill their
        area; all other spots keep their domain.
    positions
        ``"lattice"``: hexagonal lattice with a pitch of 100 µm, as on Visium slides; ``"scattered"``: the same
        density, with each spot displaced at random by a Gaussian of 35 µm.
    counts_per_gene
        Counts :math:`c` per gene of a spot with median library size, before dropout, 0.01 to 100. The default is
        typical of imaging panels, whose genes are chosen to be detected; with 0.06, as in a whole transcriptome, about
        4 % of the entries are above zero.
    dropout
        Probability :math:`\delta`, 0 to 0.99, that a count is lost if the expected count is near zero; it decreases
        with expression. Values near 1 can leave spots without any count.
    seed
        Random seed, 0 or more.

    Returns
    -------
    AnnData
        ``n_slices * n_spots`` spots in rows, ``n_genes`` genes in columns, with

        * ``X`` and ``layers["counts"]``: the counts, two independent CSR matrices of ``float32``;
        * ``obs["slice"]``: categorical, ``"slice_1"``, ``"slice_2"``, ...;
        * ``obs["domain"]``: categorical, the true domain: ``"layer_1"``, ... by depth, then ``"patch_1"``, ...;
        * ``obs["layer_position"]``: depth across the layers from 0 to 1, on the same scale in all slices and also
          defined on patches;
        * ``obsm["spatial"]``: coordinates in micrometres, ``(n_slices * n_spots, 2)``; each slice starts at 0;
        * ``var["marker_of"]``: categorical, the domain of which the gene is a marker, missing for other genes;
        * ``var["gradient"]``: amplitude of the gradient of the gene over depth (log scale), 0 for genes without one;
        * ``uns["synthetic_tissue"]``: the parameters.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If a number is out of range, a choice is unknown, or ``missing_domains`` names a slice or domain that does not
        exist or all domains of a slice.

    Notes
    -----
    *Geometry.* With tissue coordinates :math:`(x, y)` (rotated, in section radii), the depth is
    :math:`y + \kappa x^2 + 0.12\, f_1(x, y) + 0.05\, f_2(x, y)`, where :math:`f_1` and :math:`f_2` are smooth random
    fields that vary over 0.5 and 0.15 section radii, each a sum of random cosine waves :cite:p:`Rahimi2007`.
    Layers are bands of depth. A patch is the set of spots nearest to one to three blobs, with distances warped by
    another such field.

    *Expression.* Spot :math:`i` of slice :math:`s` and domain :math:`d` at depth :math:`t` has, for gene :math:`g`,

    .. math::

        \eta_{ig} &= b_g + M_{dg} + A_g \sin\bigl(2\pi(\omega_g t_i + \varphi_g)\bigr)
                     + \sum_k w_{ik} P_{kg} + \beta z_{sg},
        \qquad w_i \sim \mathrm{Dirichlet}(\alpha_d) \\
        \mu_{ig} &= \ell_i \, \frac{e^{\eta_{ig}}}{\sum_h e^{\eta_{ih}}},
        \qquad \log \ell_i \sim \mathcal{N}\bigl(\log cG + \tfrac{\beta}{2} z_s,\; 0.35^2\bigr) \\
        y_{ig} &\sim \mathrm{Poisson}\bigl(\mu_{ig}\, \gamma_{ig}\bigr),
        \qquad \gamma_{ig} \sim \mathrm{Gamma}(1/\phi_g,\; \phi_g)

    with :math:`G` genes, baseline :math:`b_g`, marker effects :math:`M` (the markers of a layer are also raised, to a
    lesser degree, in adjacent layers), gradients of amplitude :math:`A_g`, five cell programs :math:`P`, standard
    normal :math:`z` and gene-wise dispersion :math:`\phi_g`. Counts are therefore gamma-Poisson, that is, negative
    binomial :cite:p:`Zappia2017`. A count is then set to zero with probability :math:`\delta e^{-\mu_{ig}/2}`.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> adata.shape
    (400, 40)
    >>> adata.obs["domain"].cat.categories.tolist()
    ['layer_1', 'layer_2', 'layer_3', 'layer_4', 'layer_5', 'patch_1', 'patch_2']
    """
    check_call(synthetic_tissue, locals())
    strength = check_common(n_slices, batch_effect, BATCH_EFFECTS, positions, seed)
    _check_sizes(n_spots, n_genes, n_domains)
    check_number(counts_per_gene, "counts_per_gene", minimum=0.01, maximum=100.0)
    check_number(dropout, "dropout", minimum=0.0, maximum=0.99)
    missing = _check_missing_domains(missing_domains, n_slices, n_domains)

    tissue_rng, slice_rngs = spawn_generators(seed, n_slices)
    tissue = draw_tissue(tissue_rng, n_genes, n_domains)
    sections, counts = [], []
    for index, (geometry_rng, shift_rng, counts_rng) in enumerate(slice_rngs):
        scattered, absent = positions == "scattered", missing.get(index, ())
        section = draw_section(
            geometry_rng, n_spots, tissue.shares, tissue.n_layers, missing=absent, scattered=scattered
        )
        gene_shift = strength * shift_rng.standard_normal(n_genes)
        library_shift = 0.5 * strength * shift_rng.standard_normal()
        sections.append(section)
        counts.append(draw_counts(counts_rng, tissue, section, gene_shift, library_shift, counts_per_gene, dropout))

    names = [f"layer_{index + 1}" for index in range(tissue.n_layers)]
    names += [f"patch_{index + 1}" for index in range(n_domains - tissue.n_layers)]
    depth = np.concatenate([section.layer_position for section in sections])
    adata = assemble(
        sections,
        counts,
        obs={
            "domain": pd.Categorical.from_codes(np.concatenate([section.domain for section in sections]), names),
            "layer_position": depth.astype(np.float32),
        },
        var={"marker_of": pd.Categorical.from_codes(tissue.marker_of, names), "gradient": tissue.gradient},
    )
    adata.uns["synthetic_tissue"] = {
        "n_slices": int(n_slices),
        "n_spots": int(n_spots),
        "n_genes": int(n_genes),
        "n_domains": int(n_domains),
        "batch_effect": strength,
        # String keys and arrays, which the h5ad format can hold.
        "missing_domains": {str(index): np.asarray(sorted(absent), dtype=int) for index, absent in missing.items()},
        "positions": str(positions),
        "counts_per_gene": float(counts_per_gene),
        "dropout": float(dropout),
        "seed": int(seed),
        "pitch_um": PITCH_UM,
    }
    return adata


def _check_sizes(n_spots: int, n_genes: int, n_domains: int) -> None:
    check_integer(n_spots, "n_spots", minimum=30)
    check_integer(n_genes, "n_genes", minimum=33)
    check_integer(n_domains, "n_domains", minimum=2, maximum=MAX_DOMAINS)
    for name, value, needed in (("n_spots", n_spots, SPOTS_PER_DOMAIN), ("n_genes", n_genes, GENES_PER_DOMAIN)):
        if value < needed * n_domains:
            raise ValueError(
                f"`n_domains` is {n_domains}, too many for `{name}`={value}, because each domain needs {needed}; "
                f"pass at most {value // needed} domains or raise `{name}` to {needed * n_domains}."
            )


def _check_missing_domains(
    missing_domains: Mapping[int, Collection[int]] | None, n_slices: int, n_domains: int
) -> dict[int, set[int]]:
    """Check that the slices and domains exist, and return the domains absent from each slice."""
    if missing_domains is None:
        return {}
    if not isinstance(missing_domains, Mapping):
        raise TypeError(
            f"`missing_domains` is {missing_domains!r}; pass a dictionary from slice index to domain indices, such as "
            "{0: [2]}."
        )
    absent = {}
    for index, domains in missing_domains.items():
        check_integer(index, f"missing_domains[{index!r}]", minimum=0, maximum=n_slices - 1)
        if isinstance(domains, str) or not isinstance(domains, Collection):
            raise TypeError(f"`missing_domains[{index}]` is {domains!r}; pass a list of domain indices, such as [2].")
        for domain in domains:
            check_integer(domain, f"missing_domains[{index}]", minimum=0, maximum=n_domains - 1)
        absent[int(index)] = {int(domain) for domain in domains}
        if len(absent[int(index)]) == n_domains:
            raise ValueError(f"`missing_domains[{index}]` names all {n_domains} domains; leave at least one.")
    return absent
