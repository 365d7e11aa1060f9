"""Manager of registered data that does not keep them alive."""

import weakref
from typing import Any

from anndata import AnnData
from mudata import MuData
from scvi.data import AnnDataManager


class DataManager(AnnDataManager):
    """Manager of scvi-tools that refers to its data weakly.

    scvi-tools keeps the managers of all data that were set up for as long as the process lives. With this one the data
    are freed with the last model or variable that holds them.

    Examples
    --------
    >>> import gc
    >>> import weakref
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
    >>> reference = weakref.ref(adata)
    >>> del adata
    >>> _ = gc.collect()
    >>> reference() is None
    True
    """

    _reference: weakref.ref[Any] | None = None

    @property
    def adata(self) -> AnnData | MuData | None:
        """The data; ``None`` before they are registered, and after they are gone."""
        return None if self._reference is None else self._reference()

    @adata.setter
    def adata(self, value: AnnData | MuData | None) -> None:
        self._reference = None if value is None else weakref.ref(value)

    def _assert_anndata_registered(self) -> None:
        # What is known of the data stays known when they are gone, for copies of them.
        if self._reference is None:
            super()._assert_anndata_registered()

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles hold the data until their owner does.
        return self.__dict__ | {"_reference": self.adata}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.adata = state["_reference"]
