"""A made-up layered and patchy tissue with known domains."""

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.datasets._expression import Tissue, draw_counts, draw_tissue
from spotscape.datasets._geometry import Section, draw_section

BATCH_EFFECTS = {"none": 0.0, "weak": 0.1, "strong": 0.5}
PITCH_UM = 100.0
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
    r"""Draw several slices of one layered and patchy tissue whose domains are known.

    Every slice is another cut through the same tissue: bent layers run across it (about two thirds of the domains) and
    patches lie on top, with other bends, other patch positions and another rotation each time. A domain has the same
    gene programs everywhere. Spots differ within a domain too, by a mixture of cell programs that ignores space, as
    in real tissue: the expression of single spots tells the domains apart poorly, that of neighborhoods well.

    Parameters
    ----------
    n_slices
        Number of slices. Slices are independent draws: asking for more leaves the first ones as they were.
    n_spots
        Spots **per slice**, at least 30 and at least 4 per domain.
    n_genes
        Number of genes, at least 33 and at least 4 per domain. The default is the size of an imaging panel, so that a
        model trains in seconds.
    n_domains
        Number of domains, 2 to 20: `n_domains // 3` patches, the others layers. Each takes about the same share of the
        tissue (patches three quarters of a layer's).
    batch_effect
        Standard deviation :math:`\beta`, 0 to 5, of the log-fold shift of each gene in each slice; half of it is that
        of the slice's log library size. ``"none"`` is 0, ``"weak"`` (the default) 0.1, which leaves the domains in
        charge, and ``"strong"`` 0.5, with which slices lie farther apart than domains do. The value changes neither
        the geometry nor the gene programs.
    missing_domains
        For the index of a slice (from 0), the indices of domains (from 0, in the order of
        ``adata.obs["domain"].cat.categories``) which that slice lacks. Neighboring domains take over their area; all
        other spots keep their domain.
    positions
        ``"lattice"``: hexagonal lattice with a pitch of 100 µm, as on Visium slides; ``"scattered"``: the same
        density, each spot moved at random by a Gaussian of 35 µm.
    counts_per_gene
        Counts :math:`c` for each gene that a typical spot has before dropout, 0.01 to 100. The default is the depth of
        an imaging panel, whose genes are chosen to be seen; for a whole transcriptome, 0.06 leaves about 4 % of the
        counts above zero.
    dropout
        Probability :math:`\delta`, 0 to 0.99, that a count is lost where the expected count is near zero; it falls
        with expression. Values near 1 can leave spots without any count.
    seed
        Seed of all randomness, 0 or more.

    Returns
    -------
    AnnData
        ``n_slices * n_spots`` spots in rows, `n_genes` genes in columns, with

        * ``X`` and ``layers["counts"]``: the counts, two independent CSR matrices of ``float32``;
        * ``obs["slice"]``: categorical, ``"slice_1"``, ``"slice_2"``, ...;
        * ``obs["domain"]``: categorical ground truth, ``"layer_1"``, ... in order of depth, then ``"patch_1"``, ...;
        * ``obs["layer_position"]``: depth across the layers from 0 to 1, the same scale in all slices; also defined
          on patches;
        * ``obsm["spatial"]``: coordinates in micrometres, ``(n_slices * n_spots, 2)``; each slice starts at 0;
        * ``var["marker_of"]``: categorical, the domain a gene marks, missing for other genes;
        * ``var["gradient"]``: amplitude of the gene's change with depth (log scale), 0 for genes without;
        * ``uns["synthetic_tissue"]``: the parameters.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If a number is out of range, a word is unknown, or `missing_domains` names a slice or domain that does not
        exist or leaves a slice without any domain.

    Notes
    -----
    *Geometry.* With tissue coordinates :math:`(x, y)` (rotated, in section radii), the depth is
    :math:`y + \kappa x^2 + 0.12\, f_1(x, y) + 0.05\, f_2(x, y)`, where :math:`f_1` and :math:`f_2` are smooth random
    fields that vary over 0.5 and 0.15 section radii, each a sum of random cosine waves :cite:p:`Rahimi2007`.
    Layers are bands of depth; a patch is the set of spots nearest to one to three blobs, their distance being warped
    by another such field.

    *Expression.* Spot :math:`i` of slice :math:`s` and domain :math:`d` at depth :math:`t` has, for gene :math:`g`,

    .. math::

        \eta_{ig} &= b_g + M_{dg} + A_g \sin\bigl(2\pi(\omega_g t_i + \varphi_g)\bigr)
                     + \sum_k w_{ik} P_{kg} + \beta z_{sg},
        \qquad w_i \sim \mathrm{Dirichlet}(\alpha_d) \\
        \mu_{ig} &= \ell_i \, \frac{e^{\eta_{ig}}}{\sum_h e^{\eta_{ih}}},
        \qquad \log \ell_i \sim \mathcal{N}\bigl(\log cG + \tfrac{\beta}{2} z_s,\; 0.35^2\bigr) \\
        y_{ig} &\sim \mathrm{Poisson}\bigl(\mu_{ig}\, \gamma_{ig}\bigr),
        \qquad \gamma_{ig} \sim \mathrm{Gamma}(1/\phi_g,\; \phi_g)

    with :math:`G` genes, baseline :math:`b_g`, marker effects :math:`M` (a layer's markers are also raised, less so, in
    the layers next to it), gradients of amplitude :math:`A_g`, five cell programs :math:`P`, standard normal
    :math:`z`, and gene-wise dispersion :math:`\phi_g`: gamma-Poisson, that is negative binomial, counts
    :cite:p:`Zappia2017`. A count is then set to zero with probability :math:`\delta e^{-\mu_{ig}/2}`.

    Examples
    --------
    >>> adata = synthetic_tissue(n_slices=2, n_spots=200)
    >>> adata.shape
    (400, 300)
    """
    strength = _check_arguments(
        n_slices, n_spots, n_genes, n_domains, batch_effect, positions, counts_per_gene, dropout, seed
    )
    lacking = _check_missing_domains(missing_domains, n_slices, n_domains)

    # The tissue has the first stream and every slice its own, so neither depends on how many slices are asked for.
    tissue_stream, *slice_streams = np.random.SeedSequence(int(seed)).spawn(int(n_slices) + 1)
    tissue = draw_tissue(np.random.default_rng(tissue_stream), n_genes, n_domains)
    sections, counts = [], []
    for index, stream in enumerate(slice_streams):
        geometry_rng, shift_rng, counts_rng = (np.random.default_rng(child) for child in stream.spawn(3))
        section = draw_section(
            geometry_rng,
            n_spots,
            layer_shares=tissue.shares[: tissue.n_layers],
            patch_shares=tissue.shares[tissue.n_layers :],
            missing=lacking.get(index, ()),
            scattered=positions == "scattered",
            pitch=PITCH_UM,
        )
        gene_shift = strength * shift_rng.standard_normal(n_genes)
        library_shift = 0.5 * strength * shift_rng.standard_normal()
        sections.append(section)
        counts.append(draw_counts(counts_rng, tissue, section, gene_shift, library_shift, counts_per_gene, dropout))

    adata = _assemble(tissue, sections, sparse.vstack(counts, format="csr"))
    adata.uns["synthetic_tissue"] = {
        "n_slices": int(n_slices),
        "n_spots": int(n_spots),
        "n_genes": int(n_genes),
        "n_domains": int(n_domains),
        "batch_effect": strength,
        # Text keys and arrays, because that is what the h5ad format can hold.
        "missing_domains": {str(index): np.asarray(sorted(gone), dtype=int) for index, gone in lacking.items()},
        "positions": str(positions),
        "counts_per_gene": float(counts_per_gene),
        "dropout": float(dropout),
        "seed": int(seed),
        "pitch_um": PITCH_UM,
    }
    return adata


def _check_arguments(
    n_slices: int,
    n_spots: int,
    n_genes: int,
    n_domains: int,
    batch_effect: float | str,
    positions: str,
    counts_per_gene: float,
    dropout: float,
    seed: int,
) -> float:
    """Raise on the first argument that cannot be used; return the batch effect as a number."""
    check_integer(n_slices, "n_slices", minimum=1)
    check_integer(n_spots, "n_spots", minimum=30)
    check_integer(n_genes, "n_genes", minimum=33)
    check_integer(n_domains, "n_domains", minimum=2, maximum=MAX_DOMAINS)
    for name, value, needed in (("n_spots", n_spots, SPOTS_PER_DOMAIN), ("n_genes", n_genes, GENES_PER_DOMAIN)):
        if value < needed * n_domains:
            raise ValueError(
                f"`n_domains` is {n_domains}, too many for `{name}`={value}: a domain needs {needed}; "
                f"pass at most {value // needed} domains or raise `{name}` to {needed * n_domains}."
            )
    if isinstance(batch_effect, str):
        check_choice(batch_effect, BATCH_EFFECTS, "batch_effect")
        batch_effect = BATCH_EFFECTS[batch_effect]
    check_number(batch_effect, "batch_effect", minimum=0.0, maximum=5.0)
    check_choice(positions, ("lattice", "scattered"), "positions")
    check_number(counts_per_gene, "counts_per_gene", minimum=0.01, maximum=100.0)
    check_number(dropout, "dropout", minimum=0.0, maximum=0.99)
    check_integer(seed, "seed", minimum=0)
    return float(batch_effect)


def _check_missing_domains(
    missing_domains: Mapping[int, Collection[int]] | None, n_slices: int, n_domains: int
) -> dict[int, set[int]]:
    """Return which domains each slice lacks, after making sure that these slices and domains exist."""
    if missing_domains is None:
        return {}
    if not isinstance(missing_domains, Mapping):
        raise TypeError(
            f"`missing_domains` is {missing_domains!r}; pass a dictionary from slice index to domain indices, "
            "such as {0: [2]}."
        )
    lacking = {}
    for index, domains in missing_domains.items():
        check_integer(index, "missing_domains: slice index", minimum=0, maximum=n_slices - 1)
        if isinstance(domains, str) or not isinstance(domains, Collection):
            raise TypeError(f"`missing_domains[{index}]` is {domains!r}; pass a list of domain indices, such as [2].")
        for domain in domains:
            check_integer(domain, f"missing_domains[{index}]: domain index", minimum=0, maximum=n_domains - 1)
        lacking[int(index)] = {int(domain) for domain in domains}
        if len(lacking[int(index)]) == n_domains:
            raise ValueError(f"`missing_domains[{index}]` names all {n_domains} domains; leave the slice at least one.")
    return lacking


def _assemble(tissue: Tissue, sections: list[Section], counts: sparse.csr_matrix) -> AnnData:
    """Put counts, labels and coordinates of all slices into one AnnData."""
    n_slices, n_spots, n_genes = len(sections), len(sections[0].domain), counts.shape[1]
    n_domains = len(tissue.shares)
    slice_names = [f"slice_{index + 1}" for index in range(n_slices)]
    domain_names = [f"layer_{index + 1}" for index in range(tissue.n_layers)]
    domain_names += [f"patch_{index + 1}" for index in range(n_domains - tissue.n_layers)]
    spot_width, gene_width = len(str(n_spots)), len(str(n_genes))
    obs = pd.DataFrame(
        {
            "slice": pd.Categorical.from_codes(np.repeat(np.arange(n_slices), n_spots), slice_names),
            "domain": pd.Categorical.from_codes(np.concatenate([section.domain for section in sections]), domain_names),
            "layer_position": np.concatenate([section.layer_position for section in sections]).astype(np.float32),
        },
        index=[f"{name}_spot_{spot + 1:0{spot_width}}" for name in slice_names for spot in range(n_spots)],
    )
    var = pd.DataFrame(
        {"marker_of": pd.Categorical.from_codes(tissue.marker_of, domain_names), "gradient": tissue.gradient},
        index=[f"gene_{gene + 1:0{gene_width}}" for gene in range(n_genes)],
    )
    adata = AnnData(X=counts, obs=obs, var=var)
    # A copy: functions that normalise X in place must not reach the counts.
    adata.layers["counts"] = counts.copy()
    adata.obsm["spatial"] = np.concatenate([section.positions for section in sections])
    return adata
