"""Methods of a model that lead to functions for its data: the only file of the models that knows these functions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from anndata import AnnData
from mudata import MuData

from spotscape.model._docs import documented
from spotscape.model._setup import table_of


class ShortcutMixin:
    """Methods that call functions for the data of a model."""

    if TYPE_CHECKING:
        adata: Any
        registry_: dict[str, Any]

        def _validate_anndata(self, adata: Any, copy_if_view: bool = True) -> Any: ...

    @documented
    def report(self, path: str | Path = "report.html", adata: AnnData | MuData | None = None, **kwargs: Any) -> Path:
        """Write a report of spatial domains as one HTML file; see :func:`spotscape.report`.

        Parameters
        ----------
        path
            File to write, replaced as a whole.
        adata
            Data with domains, set up like those of the model. ``None``: the data of the model.
        **kwargs
            Further arguments of :func:`spotscape.report`, such as ``domain_key``.

        Returns
        -------
        Path of the file.

        Raises
        ------
        ValueError
            If there are no data.

        %(report_example)s
        """
        from spotscape import report

        return report(self._table(adata), path, model=self, **kwargs)

    @documented
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

        settings = {"groups": group1, "reference": "rest" if group2 is None else group2} | kwargs
        return get.markers(tl.markers(self._table(adata), groupby, **settings, key_added="markers", copy=True))

    def _table(self, adata: AnnData | MuData | None) -> AnnData:
        """Data with the expression and the slices."""
        if adata is None and self.adata is None:
            raise ValueError("The model was loaded without data; pass the data as `adata`.")
        return table_of(self._validate_anndata(adata), self.registry_["setup_args"])
