"""Gene programs of a simulated tissue, and the counts of its sections."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from spotscape.datasets._geometry import Section

LIBRARY_SD = 0.35
N_PROGRAMS = 5
PROGRAM_SD = 0.65
PROGRAM_CONCENTRATION = 3.0
PROGRAM_TILT = 4.0
MARKER_SHARE = 0.4
MARKER_EFFECT = 0.55
NEIGHBOR_LAYER_EFFECT = 0.35
GRADIENT_SHARE = 0.4
GRADIENT_EFFECT = 0.45
DROPOUT_SCALE = 2.0
CHUNK_VALUES = 1_000_000


class Tissue(NamedTuple):
    """Properties common to all slices."""

    n_layers: int
    """Number of layers, which are the first domains; the others are patches."""
    shares: np.ndarray
    """Share of the tissue that each domain covers, ``(n_domains,)``."""
    marker_of: np.ndarray
    """Index of the domain of which each gene is a marker, -1 for none, ``(n_genes,)``."""
    domain_effect: np.ndarray
    """Log expression in each domain, including the baseline, ``(n_domains, n_genes)``."""
    gradient: np.ndarray
    """Amplitude of the gradient of each gene over depth, ``(n_genes,)``."""
    gradient_waves: np.ndarray
    """Number of sine waves of the gradient from the first layer to the last, ``(n_genes,)``."""
    gradient_phase: np.ndarray
    """Phase of the gradient at the first layer, in turns, ``(n_genes,)``."""
    programs: np.ndarray
    """Log expression of each cell program, ``(n_programs, n_genes)``."""
    program_weights: np.ndarray
    """Dirichlet parameters of the mixture of programs in each domain, ``(n_domains, n_programs)``."""
    dispersion: np.ndarray
    """Negative binomial dispersion of each gene, ``(n_genes,)``."""


def draw_tissue(rng: np.random.Generator, n_genes: int, n_domains: int) -> Tissue:
    """Draw the sizes of the domains and the gene programs."""
    n_layers = n_domains - n_domains // 3
    shares = rng.uniform(0.8, 1.2, n_domains) * np.where(np.arange(n_domains) < n_layers, 1.0, 0.75)

    n_markers = round(MARKER_SHARE * n_genes / n_domains)
    marker_of = np.full(n_genes, -1)
    marker_of[rng.permutation(n_genes)[: n_markers * n_domains]] = np.repeat(np.arange(n_domains), n_markers)
    is_layer = np.arange(n_domains) < n_layers
    gap = np.abs(np.subtract.outer(np.arange(n_domains), np.arange(n_domains)))
    sharing = np.eye(n_domains) + NEIGHBOR_LAYER_EFFECT * ((gap == 1) & np.outer(is_layer, is_layer))
    effect = MARKER_EFFECT * rng.gamma(4.0, 0.25, n_genes)
    baseline = rng.normal(0.0, 1.0, n_genes)
    markers = np.where(marker_of >= 0, sharing[:, marker_of] * effect, 0.0)

    gradient = np.zeros(n_genes)
    varying = rng.permutation(n_genes)[: round(GRADIENT_SHARE * n_genes)]
    gradient[varying] = GRADIENT_EFFECT * rng.gamma(4.0, 0.25, len(varying))
    return Tissue(
        n_layers=n_layers,
        shares=shares / shares.sum(),
        marker_of=marker_of,
        domain_effect=(baseline + markers).astype(np.float32),
        gradient=gradient.astype(np.float32),
        gradient_waves=rng.uniform(0.25, 1.0, n_genes),
        gradient_phase=rng.uniform(0.0, 1.0, n_genes),
        programs=rng.normal(0.0, PROGRAM_SD, (N_PROGRAMS, n_genes)).astype(np.float32),
        program_weights=PROGRAM_CONCENTRATION * rng.dirichlet(np.full(N_PROGRAMS, PROGRAM_TILT), n_domains) + 0.2,
        dispersion=rng.gamma(4.0, 0.05, n_genes) + 0.05,
    )


def draw_counts(
    rng: np.random.Generator,
    tissue: Tissue,
    section: Section,
    gene_shift: np.ndarray,
    library_shift: float,
    counts_per_gene: float,
    dropout: float,
) -> sparse.csr_matrix:
    """Draw the counts of one slice, in blocks of spots so that only one block is dense at a time."""
    n_spots, n_genes = len(section.domain), len(gene_shift)
    block_spots = max(1, CHUNK_VALUES // n_genes)
    blocks = []
    for start in range(0, n_spots, block_spots):
        rows = slice(start, start + block_spots)
        domain = section.domain[rows]
        mixture = rng.standard_gamma(tissue.program_weights[domain])
        mixture /= mixture.sum(axis=1, keepdims=True)
        log_library = np.log(counts_per_gene * n_genes) + library_shift + LIBRARY_SD * rng.standard_normal(len(domain))
        mean = _expected_counts(tissue, domain, section.layer_position[rows], mixture, gene_shift, log_library)
        blocks.append(_sample_counts(rng, mean, tissue.dispersion, dropout))
    return sparse.vstack(blocks, format="csr")


def _expected_counts(
    tissue: Tissue,
    domain: np.ndarray,
    layer_position: np.ndarray,
    mixture: np.ndarray,
    gene_shift: np.ndarray,
    log_library: np.ndarray,
) -> np.ndarray:
    """Library size times the softmax of the log expression, ``(n_spots, n_genes)``."""
    turns = np.outer(layer_position, tissue.gradient_waves) + tissue.gradient_phase
    log_mean = tissue.gradient * np.sin(2.0 * np.pi * turns.astype(np.float32))
    log_mean += tissue.domain_effect[domain]
    log_mean += mixture.astype(np.float32) @ tissue.programs
    log_mean += gene_shift.astype(np.float32)
    log_mean -= log_mean.max(axis=1, keepdims=True)
    mean = np.exp(log_mean, out=log_mean)
    mean *= (np.exp(log_library) / mean.sum(axis=1)).astype(np.float32)[:, None]
    return mean


def _sample_counts(
    rng: np.random.Generator, mean: np.ndarray, dispersion: np.ndarray, dropout: float
) -> sparse.csr_matrix:
    """Draw gamma-Poisson counts of mean ``(n_spots, n_genes)`` and gene-wise dispersion, then apply dropout."""
    dispersion = dispersion.astype(np.float32)
    rate = rng.standard_gamma(np.broadcast_to(1.0 / dispersion, mean.shape), dtype=np.float32)
    rate *= dispersion
    rate *= mean
    counts = rng.poisson(rate)
    # Zeros cannot be lost, so dropout is drawn for the positive counts only.
    spots, genes = np.nonzero(counts)
    lost = rng.random(len(spots), dtype=np.float32) < dropout * np.exp(-mean[spots, genes] / DROPOUT_SCALE)
    spots, genes = spots[~lost], genes[~lost]
    ends = np.concatenate([[0], np.cumsum(np.bincount(spots, minlength=len(mean)))])
    values = counts[spots, genes].astype(np.float32)
    return sparse.csr_matrix((values, genes.astype(np.int32), ends), shape=mean.shape)
