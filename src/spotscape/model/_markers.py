"""Differential expression under the name that models of scvi-tools have for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from anndata import AnnData
from mudata import MuData

from spotscape.model._docs import docs


class MarkerMixin:
    """Method that ranks genes on the registered counts."""

    if TYPE_CHECKING:
        adata: Any
        registry_: dict[str, Any]

        def _validate_anndata(self, adata: Any) -> Any: ...

    @docs.dedent
    def differential_expression(
        self,
        adata: AnnData | MuData | None = None,
        groupby: str = "spatial_domain",
        group1: str | Sequence[str] | None = None,
        group2: str | None = None,
        **kwargs: Any,
    ) -> pd.DataFrame:
        """Rank the genes of groups of spots by :func:`spotscape.tl.markers`, on the counts that were set up.

        Models of scvi-tools test with samples of their posterior. Denoised expression of this model has none, and
        neighbouring spots share it, so any difference would seem certain. With replicates, test with
        :func:`spotscape.tl.differential_expression` instead.

        Parameters
        ----------
        adata
            Data set up like those of the model. ``None``: the data of the model. It is not changed.
        groupby
            Column of ``obs`` with the groups, such as domains.
        group1
            Groups to test. ``None``: all.
        group2
            Group that they are compared with. ``None``: all other groups.
        **kwargs
            Further arguments of :func:`spotscape.tl.markers`.

        Returns
        -------
        Table of :func:`spotscape.get.markers`.

        Raises
        ------
        ValueError
            If there are no data, or the model reads features instead of expression.

        %(differential_expression_example)s
        """
        from spotscape import get, tl

        if adata is None and self.adata is None:
            raise ValueError("The model was loaded without data; pass the data as `adata`.")
        data = self._validate_anndata(adata)
        holder = data.mod[self.registry_["setup_args"]["modality"]] if isinstance(data, MuData) else data
        settings = {"groups": group1, "reference": "rest" if group2 is None else group2} | kwargs
        result = tl.markers(holder, groupby, **settings, key_added="markers", copy=True)
        return get.markers(result)
