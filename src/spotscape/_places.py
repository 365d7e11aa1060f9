"""Where in the data something is, in the words of messages."""

from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
from anndata import AnnData

from spotscape._slices import name_of_slice


@dataclass(frozen=True)
class Places:
    """Names of spots, of their slices and of genes.

    Without names, as for plain arrays, spots and genes are identified by the numbers of their rows and columns.

    Parameters
    ----------
    spots, genes
        Names.
    slices
        Slice of each spot.
    """

    spots: pd.Index | None = None
    genes: pd.Index | None = None
    slices: pd.Series | None = None

    @classmethod
    def of(cls, adata: AnnData, slice_key: Any = None) -> Self:
        """Names of the spots and genes of data, and the slices in a column that may be missing."""
        slices = adata.obs[slice_key] if slice_key is not None and slice_key in adata.obs else None
        return cls(adata.obs_names, adata.var_names, slices)

    def spot(self, row: int) -> str:
        """Name of a spot and of its slice."""
        if self.spots is None:
            return f"row {row}"
        value = None if self.slices is None else self.slices.iloc[row]
        where = "" if value is None or pd.isna(value) else f" of slice {name_of_slice(value)!r}"
        return f"spot {str(self.spots[row])!r}{where}"

    def value(self, row: int, column: int) -> str:
        """Name of a spot, of its slice and of a gene."""
        gene = f"column {column}" if self.genes is None else f"gene {str(self.genes[column])!r}"
        return f"{self.spot(row)}, {gene}"


#: Places in plain arrays.
ROWS = Places()
