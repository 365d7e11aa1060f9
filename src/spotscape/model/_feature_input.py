"""Which preprocessing the input of a model with a spatial graph gets: expression, or an embedding in ``obsm``."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from scvi.data import AnnDataManager

from spotscape._validate import checked_names
from spotscape.data._fields import registered_input, registered_slices
from spotscape.preprocessing import Expression, FeaturePipeline, FeatureScaler, NoCorrection, Preprocessor
from spotscape.preprocessing._scaling import N_COMPONENTS_WIDE
from spotscape.preprocessing.correction import correction_named


def fitted_pipeline(
    manager: AnnDataManager, slice_correction: str | None, n_slices: int, parameters: Mapping[str, Any], seed: int
) -> FeaturePipeline:
    """Fit the preprocessing to registered data.

    Parameters
    ----------
    manager
        Manager of the data.
    slice_correction, seed
        Arguments of :class:`~spotscape.model.SpatialModel`.
    n_slices
        Number of slices with spots.
    parameters
        Arguments of :class:`~spotscape.preprocessing.Preprocessor`; of an embedding, ``n_components`` is used.

    Returns
    -------
    The fitted pipeline.

    Raises
    ------
    ValueError
        If an argument does not apply to the data.
    """
    reads_genes = parameters.get("features") == "genes"
    if reads_genes and slice_correction not in (None, NoCorrection.name):
        raise ValueError(
            f"`slice_correction` is {slice_correction!r}, but `features` are 'genes', which stay sparse; pass "
            "'none', or leave it out."
        )
    if slice_correction is None:
        slice_correction = NoCorrection.name if reads_genes or n_slices == 1 else "harmony"
    correction, values = correction_named(slice_correction), registered_input(manager)
    if isinstance(values, Expression):
        pipeline = FeaturePipeline(correction, preprocessor=Preprocessor(**parameters))
    else:
        n_components, (n_spots, width) = parameters.get("n_components"), values.shape
        if n_components is not None and n_components > min(n_spots - 1, width):
            raise ValueError(
                f"`n_components` is {n_components}; {n_spots} spots and {width} columns of the embedding allow at most "
                f"{min(n_spots - 1, width)}."
            )
        n_components = N_COMPONENTS_WIDE if n_components is None else n_components
        # The residual path of the encoder keeps the first columns, so these must have most of the variance.
        scaler = FeatureScaler(standardize=True, n_components=n_components, rotate=True)
        pipeline = FeaturePipeline(correction, scaler=scaler)
    return pipeline.fit(values, registered_slices(manager)[1], seed=seed)


def checked_genes(gene_list: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Names of genes that a user asks for; all if there are none."""
    if gene_list is None:
        return list(known)
    if isinstance(gene_list, str):
        raise TypeError(f"`gene_list` is {gene_list!r}; pass a list of names, such as [{gene_list!r}].")
    return checked_names(gene_list, "gene_list", pd.Index(known), "the genes of the model")
