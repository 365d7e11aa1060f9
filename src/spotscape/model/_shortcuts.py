"""Methods of a model that lead to functions for its data: the only file of the models that knows these functions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from spotscape._validate import check_name
from spotscape.model._docs import documented
from spotscape.model._setup import table_of
from spotscape.preprocessing._subsample import evenly_spaced_rows

#: Number of spots whose stored representation is compared with that of the model.
_N_SPOTS_TO_COMPARE = 2048


class ShortcutMixin:
    """Methods that call functions for the data of a model."""

    if TYPE_CHECKING:
        adata: Any
        registry_: dict[str, Any]

        domains_: dict[str, Any] | None

        def get_latent_representation(self, *args: Any, **kwargs: Any) -> np.ndarray: ...
        def _check_if_trained(self, *, warn: bool) -> None: ...
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

    @documented
    def keep_domains(self, domain_key: str = "spatial_domain") -> None:
        """Keep the domains of the data in the model, which then saves them and applies them to new sections.

        Only what defines the domains is kept: the fitted clustering of :func:`spotscape.tl.domains`, the names of the
        domains and their colours. :func:`spotscape.tl.predict_domains` takes the model, or the model that was saved and
        loaded, as its reference. Call this after domains were renamed. Further training forgets the domains, because it
        changes the representation that they were found in.

        Parameters
        ----------
        domain_key
            Key of the domains in ``obs`` and ``uns`` of the data of the model.

        Raises
        ------
        RuntimeError
            If the model has not been trained.
        KeyError
            If the data have no such domains.
        ValueError
            If the domains cannot be applied to new spots, or are not of the latent representation of this model.

        %(keep_domains_example)s
        """
        self._check_if_trained(warn=False)
        check_name(domain_key, "domain_key", "a column of `adata.obs`")
        from spotscape.tl._domain_reference import DomainReference

        table = self._table(None)
        known = DomainReference.of_data(table, domain_key, "adata", "domain_key")
        use_rep = str(known.fitted["use_rep"])
        some = evenly_spaced_rows(table.n_obs, _N_SPOTS_TO_COMPARE)
        latent = self.get_latent_representation(indices=some)
        stored = table.obsm[use_rep] if use_rep in table.obsm else None
        if stored is None or not _are_alike(stored[some], latent):
            raise ValueError(
                f"The domains {domain_key!r} were found in {use_rep!r}, which is not the latent representation of this "
                "model; store `model.get_latent_representation()` in `obsm`, and call `spotscape.tl.domains` on it."
            )
        self.domains_ = known.get_state()

    def _table(self, adata: AnnData | MuData | None) -> AnnData:
        """Data with the expression and the slices."""
        if adata is None and self.adata is None:
            raise ValueError("The model was loaded without data; pass the data as `adata`.")
        return table_of(self._validate_anndata(adata), self.registry_["setup_args"])


def _are_alike(stored: Any, latent: np.ndarray) -> bool:
    """Whether two representations are the same but for rounding."""
    stored = np.asarray(stored)
    return stored.shape == latent.shape and np.allclose(stored, latent, rtol=1e-2, atol=1e-2 * latent.std())
