"""New sections whose genes differ from those of a model."""

import warnings
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scipy import sparse
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass

from spotscape._constants import MEASURED_KEY
from spotscape._validate import check_flag
from spotscape.data._fields import registered_coordinates, registered_slices
from spotscape.model._docs import documented
from spotscape.model._files import read_reference
from spotscape.model._setup import check_kind, table_of
from spotscape.preprocessing import Preprocessor
from spotscape.preprocessing._missing_genes import check_overlap


class QueryMixin:
    """Methods that prepare new data for a trained model."""

    if TYPE_CHECKING:

        @classmethod
        def load(cls, *args: Any, **kwargs: Any) -> Self: ...

    @classmethod
    @documented
    def prepare_query_anndata(
        cls,
        adata: AnnData,
        reference_model: str | Path | BaseModelClass,
        return_reference_var_names: bool = False,
        inplace: bool = True,
    ) -> AnnData | pd.Index | None:
        """Bring the genes of a new section into the order of a model, and record which genes were not measured.

        Genes that the model does not have are dropped. Genes that were not measured are set to zero and marked. The
        model replaces them by their expected values given the measured genes.

        Parameters
        ----------
        adata
            New section with unique gene names. It need not be set up.
        %(prepare_query)s

        Returns
        -------
        ``None``, the changed copy, or the gene names. The result has the boolean column ``.var["spotscape_measured"]``,
        and neither ``varm`` nor ``varp``.

        Raises
        ------
        %(prepare_query_errors)s

        %(prepare_query_example)s
        """
        check_flag(return_reference_var_names, "return_reference_var_names")
        check_flag(inplace, "inplace")
        preprocessor, _ = _read_reference(reference_model)
        if return_reference_var_names:
            return pd.Index(preprocessor.gene_names)
        check_kind(adata, {})
        prepared = _with_genes(adata, preprocessor)
        if not inplace:
            return prepared
        adata._init_as_actual(prepared)
        return None

    @classmethod
    @documented
    def load_query_data(
        cls,
        adata: AnnData | MuData,
        reference_model: str | Path | BaseModelClass,
        *,
        accelerator: str = "auto",
        device: int | str = "auto",
    ) -> Self:
        """Model of a reference with new sections as its data.

        The encoder takes new sections, so the result gives representations at once. ``train`` continues its training on
        the new sections; the reference model stays as it is.

        Parameters
        ----------
        adata
            New sections, which are set up like the data of the reference. If their genes are not those of the model in
            the same order, the model gets a copy that :meth:`prepare_query_anndata` or :meth:`prepare_query_mudata` has
            prepared, as its ``adata``, with the spots in the same order.
        reference_model
            Model of the same class, or folder in which one was saved.
        accelerator, device
            As in :meth:`load`.

        Returns
        -------
        The model.

        Raises
        ------
        %(prepare_query_errors)s

        %(load_query_example)s
        """
        init_params, registry = read_reference(reference_model)
        if registry["model_name"] != cls.__name__:
            raise ValueError(
                f"`reference_model` is of class {registry['model_name']}, not {cls.__name__}; call "
                f"`{registry['model_name']}.load_query_data`."
            )
        arguments = {"accelerator": accelerator, "device": device}
        arguments["adata"] = _with_genes_of_model(adata, init_params, registry["setup_args"])
        if not isinstance(reference_model, BaseModelClass):
            return cls.load(reference_model, **arguments)
        with TemporaryDirectory() as folder:
            reference_model.save(f"{folder}/model")
            return cls.load(f"{folder}/model", **arguments)

    @classmethod
    @documented
    def prepare_query_mudata(
        cls,
        mdata: MuData,
        reference_model: str | Path | BaseModelClass,
        return_reference_var_names: bool = False,
        inplace: bool = True,
    ) -> MuData | pd.Index | None:
        """Bring the genes of a new MuData into the order of a model; see :meth:`prepare_query_anndata`.

        Parameters
        ----------
        mdata
            New data with the modality that the model was set up with.
        %(prepare_query)s

        Returns
        -------
        ``None``, the changed copy, or the gene names.

        Raises
        ------
        %(prepare_query_errors)s

        %(prepare_query_mudata_example)s
        """
        check_flag(return_reference_var_names, "return_reference_var_names")
        check_flag(inplace, "inplace")
        preprocessor, setup_args = _read_reference(reference_model)
        if return_reference_var_names:
            return pd.Index(preprocessor.gene_names)
        if "modality" not in setup_args:
            raise ValueError("The model was set up with an AnnData; prepare one with `prepare_query_anndata`.")
        check_kind(mdata, setup_args, "mdata")
        prepared = _with_genes(mdata.mod[setup_args["modality"]], preprocessor)
        target = mdata if inplace else mdata.copy()
        target.mod[setup_args["modality"]] = prepared
        target.update()
        return None if inplace else target


def _read_reference(reference_model: str | Path | BaseModelClass) -> tuple[Preprocessor, dict[str, Any]]:
    """Preprocessor and setup arguments of a model, or of a saved model, which is read without building the model."""
    init_params, registry = read_reference(reference_model)
    state = _preprocessor_state(init_params)
    if state is None:
        raise TypeError("The model reads features, not expression, so it needs no genes; give it the same features.")
    return Preprocessor.from_state(state), registry["setup_args"]


def _preprocessor_state(init_params: dict[str, Any]) -> dict[str, Any] | None:
    """State of the preprocessor of a model. ``None`` if the model reads features."""
    preprocessing = init_params["non_kwargs"]["preprocessing"]
    return preprocessing.get("pipelines", {"rna": preprocessing})["rna"]["preprocessor"]


def _with_genes_of_model(
    data: AnnData | MuData, init_params: dict[str, Any], setup_args: dict[str, Any]
) -> AnnData | MuData:
    """The data themselves if they have the genes of a model in their order, or it reads features; a copy otherwise."""
    check_kind(data, setup_args)
    state = _preprocessor_state(init_params)
    if state is None:
        return data
    preprocessor, adata = Preprocessor.from_state(state), table_of(data, setup_args)
    if list(adata.var_names) == preprocessor.gene_names:
        return data
    prepared = _with_genes(adata, preprocessor)
    if isinstance(data, AnnData):
        return prepared
    result = data.copy()
    result.mod[setup_args["modality"]] = prepared
    result.update()
    return result


def _with_genes(adata: AnnData, preprocessor: Preprocessor) -> AnnData:
    """Copy of the data with the genes of a model."""
    if not adata.var_names.is_unique:
        raise ValueError("Names of genes occur twice; call `adata.var_names_make_unique()` first.")
    names = pd.Index(preprocessor.gene_names)
    place = names.get_indexer(adata.var_names)
    known = np.flatnonzero((place >= 0) & _was_measured(adata))
    n_components = preprocessor.get_state()["fitted_projection"].shape[1]
    check_overlap(list(adata.var_names[_was_measured(adata)]), preprocessor.selected_genes, n_components)

    def placed(matrix: Any) -> Any:
        if sparse.issparse(matrix):
            ones = np.ones(len(known), dtype=matrix.dtype)
            columns = sparse.csr_matrix((ones, (known, place[known])), shape=(adata.n_vars, len(names)))
            return sparse.csr_matrix(sparse.csr_matrix(matrix) @ columns)
        if not isinstance(matrix, np.ndarray):
            raise TypeError("The expression is in a file; load it with `adata.to_memory()` first.")
        result = np.zeros((adata.n_obs, len(names)), dtype=matrix.dtype)
        result[:, place[known]] = matrix[:, known]
        return result

    # A column of truth values that gets gaps would turn into one of Python objects, which cannot be written to files.
    columns = {name: "boolean" for name in adata.var if adata.var[name].dtype == bool}
    var = adata.var.astype(columns).reindex(names)
    var[MEASURED_KEY] = np.isin(np.arange(len(names)), place[known])
    prepared = AnnData(
        X=None if adata.X is None else placed(adata.X),
        obs=adata.obs.copy(),
        var=var,
        uns={key: deepcopy(value) for key, value in adata.uns.items() if not key.startswith("_scvi")},
        obsm={key: value.copy() for key, value in adata.obsm.items()},
        obsp={key: value.copy() for key, value in adata.obsp.items()},
        # Newer AnnData lists `X` among the layers, under no name.
        layers={key: placed(value) for key, value in adata.layers.items() if key is not None},
    )
    if adata.raw is not None:
        prepared.raw = adata.raw.to_adata()
    return prepared


def _was_measured(adata: AnnData) -> np.ndarray:
    """Whether each gene was measured, also in data prepared before. ``(n_genes,)``."""
    if MEASURED_KEY not in adata.var:
        return np.ones(adata.n_vars, dtype=bool)
    return adata.var[MEASURED_KEY].to_numpy(dtype=bool)


def warn_of_subset(manager: AnnDataManager, own: AnnDataManager) -> None:
    """Warn if data consists of a part of the spots of a slice that a model was trained on.

    Spots are recognised by their names and coordinates. Whole slices have the same neighbours as before.

    Parameters
    ----------
    manager
        Manager of the data.
    own
        Manager of the data that the model was trained on.
    """
    names, own_names = (pd.Index(one.adata.obs_names) for one in (manager, own))
    rows = own_names.get_indexer(names) if own_names.is_unique else np.array([-1])
    if (rows < 0).any() or len(rows) == len(own_names):
        return
    coordinates, own_coordinates = registered_coordinates(manager), registered_coordinates(own)
    if coordinates.shape[1] != own_coordinates.shape[1] or not np.array_equal(coordinates, own_coordinates[rows]):
        return
    own_slices = registered_slices(own)[1]
    sizes, own_sizes = (pd.Series(slices).value_counts() for slices in (own_slices[rows], own_slices))
    partial = sizes.index[sizes.to_numpy() < own_sizes[sizes.index].to_numpy()]
    if len(partial):
        warnings.warn(
            f"The data has {sizes[partial[0]]} of the {own_sizes[partial[0]]} spots of slice {partial[0]!r}, which the "
            "model was trained on; without the others, these spots have other neighbours and other results. For some "
            "of the spots of its own data, call the method without `adata` and with `indices`.",
            UserWarning,
            stacklevel=5,
        )
