"""Synthetic tissues of growing size, made once and kept in files."""

from dataclasses import dataclass
from pathlib import Path

import spotscape as sps

N_GENES = 300
N_DOMAINS = 10
#: Counts of a gene in a spot, on average, where there are more genes than an imaging panel has: about 4 % are not zero.
COUNTS_PER_GENE_OF_MANY = 0.06
_FEW_GENES = 1000


@dataclass(frozen=True)
class Size:
    """Number of cells, genes and slices of a tissue."""

    n_cells: int
    n_genes: int = N_GENES
    n_slices: int = 1

    @property
    def name(self) -> str:
        """Name of the tissue."""
        return f"{self.n_cells}x{self.n_genes}x{self.n_slices}"

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Read ``CELLS``, ``CELLSxGENES`` or ``CELLSxGENESxSLICES``; slices of about 50,000 cells if not said."""
        try:
            n_cells, n_genes, n_slices, *more = [*map(int, text.split("x")), *[0] * (2 - text.count("x"))]
        except ValueError:
            more = [0]
        if more:
            raise ValueError(
                f"{text!r} is no size; give CELLS, CELLSxGENES or CELLSxGENESxSLICES, such as 30000x300x4."
            )
        if not n_slices:
            n_slices = 1 if n_cells <= 5000 else 4 if n_cells < 100_000 else 20
        # Slices are of one size, so a few cells may be left over.
        return cls(n_cells // n_slices * n_slices, n_genes or N_GENES, n_slices)


#: Those that are measured unless others are asked for.
SIZES = ("3000", "10000", "30000", "100000", "300000", "1000000", "500000x5000x13")


def write_tissue(size: Size, path: Path) -> None:
    """Draw a tissue and write it as ``.h5ad``; the counts are in ``X`` alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The default depth suits panels; whole transcriptomes would be full.
    depth = {} if size.n_genes <= _FEW_GENES else {"counts_per_gene": COUNTS_PER_GENE_OF_MANY}
    adata = sps.datasets.synthetic_tissue(
        size.n_slices, size.n_cells // size.n_slices, n_genes=size.n_genes, n_domains=N_DOMAINS, seed=0, **depth
    )
    del adata.layers["counts"]
    # Under another name until it is whole, so that what a stopped run leaves is not taken for a tissue.
    unfinished = path.with_suffix(".part")
    adata.write_h5ad(unfinished)
    unfinished.rename(path)
