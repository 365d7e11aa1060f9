"""New sections whose genes are not quite those of the model."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scipy import sparse
from scvi.model.base import BaseModelClass

from spotscape._constants import MEASURED_KEY
from spotscape.model._save_load import read_model_file
from spotscape.model._setup import check_kind
from spotscape.preprocessing import Preprocessor
from spotscape.preprocessing._missing_genes import check_overlap


class QueryMixin:
    """Methods that fit new data to a trained model."""

    @classmethod
    def prepare_query_anndata(
        cls,
        adata: AnnData,
        reference_model: str | Path | BaseModelClass,
        return_reference_var_names: bool = False,
        inplace: bool = True,
    ) -> AnnData | pd.Index | None:
        """Give a new section the genes of a model, in its order, recording which were not measured.

        Genes that the model does not know are dropped. Genes that were not measured are filled with zeros, which carry
        no information: the model replaces them by what is expected of them, given the measured genes.

        Parameters
        ----------
        adata
            New section with unique names of genes. It need not be set up.
        reference_model
            Trained model, or the folder that it was saved in.
        return_reference_var_names
            Only return the names of the genes of the model.
        inplace
            Change ``adata`` itself, as in scvi-tools, or leave it and return the prepared data.

        Returns
        -------
        ``None``, the prepared data, or the names. Prepared data has the column ``.var["spotscape_measured"]``; what
        ``varm`` and ``varp`` hold is dropped.

        Raises
        ------
        ValueError
            If the section has too few of the genes that the model reads, or names of genes occur twice.
        TypeError
            If the expression is in a file, or the model reads no expression.

        Warns
        -----
        UserWarning
            If the section has less than a third of the genes that the model reads.
        """
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
    def prepare_query_mudata(
        cls,
        mdata: MuData,
        reference_model: str | Path | BaseModelClass,
        return_reference_var_names: bool = False,
        inplace: bool = True,
    ) -> MuData | pd.Index | None:
        """Give the expression of a new MuData the genes of a model; see :meth:`prepare_query_anndata`.

        Parameters
        ----------
        mdata
            New data with the modality that the model was set up with.
        reference_model, return_reference_var_names, inplace
            As in :meth:`prepare_query_anndata`.

        Returns
        -------
        ``None``, the prepared data, or the names.
        """
        preprocessor, setup_args = _read_reference(reference_model)
        if return_reference_var_names:
            return pd.Index(preprocessor.gene_names)
        if "modality" not in setup_args:
            raise ValueError("The model was set up with an AnnData; prepare one with `prepare_query_anndata`.")
        check_kind(mdata, setup_args)
        prepared = _with_genes(mdata.mod[setup_args["modality"]], preprocessor)
        target = mdata if inplace else mdata.copy()
        target.mod[setup_args["modality"]] = prepared
        target.update()
        return None if inplace else target


def _read_reference(reference_model: str | Path | BaseModelClass) -> tuple[Preprocessor, dict[str, Any]]:
    """Preprocessing and set-up of a model, or of the file of one, which is read without making a model."""
    if isinstance(reference_model, BaseModelClass):
        init_params, registry = reference_model.init_params_, reference_model.registry_
    else:
        attributes = read_model_file(Path(reference_model) / "model.pt")["attr_dict"]
        init_params, registry = attributes["init_params_"], attributes["registry_"]
    preprocessing = init_params["non_kwargs"]["preprocessing"]
    state = preprocessing.get("pipelines", {"rna": preprocessing})["rna"]["preprocessor"]
    if state is None:
        raise TypeError("The model reads features, not expression, so it needs no genes; give it the same features.")
    return Preprocessor.from_state(state), registry["setup_args"]


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
    """Whether each gene was measured, in data that may have been completed before. ``(n_genes,)``."""
    if MEASURED_KEY not in adata.var:
        return np.ones(adata.n_vars, dtype=bool)
    return adata.var[MEASURED_KEY].to_numpy(dtype=bool)
