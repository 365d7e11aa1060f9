"""Base of the models of expression and image features: setup."""

from typing import Any, Literal

import numpy as np
from anndata import AnnData
from mudata import MuData
from numpy.typing import NDArray
from scvi.data import AnnDataManager

from spotscape._constants import FIELD_KEYS
from spotscape.data._fields import registered_features, registered_input
from spotscape.model._base import LatentModel
from spotscape.model._docs import documented
from spotscape.model._setup import register
from spotscape.preprocessing import Expression


class ModalityModel(LatentModel):
    """Base class of the models of expression, or other features, and an image."""

    @classmethod
    @documented
    def setup_anndata(
        cls,
        adata: AnnData,
        rna_key: str | None = None,
        image_key: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        labels_key: str | None = None,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        **kwargs: Any,
    ) -> None:
        """%(summary)s

        The data are checked before anything is written. If a check fails, the AnnData is unchanged.

        Parameters
        ----------
        %(param_adata)s
        rna_key
            Layer with expression, which the model preprocesses, or key of ``adata.obsm`` with features, such as a
            corrected representation or the embedding of a foundation model. ``None``: ``adata.X``.
        image_key
            Key of ``adata.obsm`` with image features, such as those of :func:`spotscape.pp.image_features`. Spots
            without an image have NaN in all columns. ``None``: expression only.
        %(slices)s

        %(setup_results)s

        %(setup_modalities_example)s
        """
        register(cls, adata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    @documented
    def setup_mudata(
        cls,
        mdata: MuData,
        modality: str = "rna",
        image_modality: str | None = "image",
        rna_key: str | None = None,
        image_key: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        labels_key: str | None = None,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s

        Parameters
        ----------
        %(param_mdata)s
        modality
            Modality with the expression of all spots, the slices and the coordinates.
        image_modality
            Modality with the image features. It may lack spots. ``None``: expression only.
        rna_key
            Layer or key of ``obsm`` with the expression, in ``modality``. ``None``: ``X``.
        image_key
            Key of ``obsm`` with the image features, in ``image_modality``. ``None``: ``X``.
        slice_key, spatial_key, size_factor_key, labels_key, values
            As in :meth:`setup_anndata`, within ``modality``.

        %(setup_results)s

        %(setup_two_modalities_example)s
        """
        register(cls, mdata, cls._get_setup_method_args(**locals()), kwargs)

    def _registered_values(self, manager: AnnDataManager) -> dict[str, Expression | NDArray[np.float64]]:
        """Expression or features of each modality."""
        values = {"rna": registered_input(manager)}
        if FIELD_KEYS.IMAGE in manager.data_registry:
            values["image"] = registered_features(manager, FIELD_KEYS.IMAGE)
        return values
