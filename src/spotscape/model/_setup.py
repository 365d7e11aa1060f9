"""Setup of data: checks, and registration with scvi-tools."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager, AnnDataManagerValidationCheck
from scvi.model.base import BaseModelClass

from spotscape._constants import FIELD_KEYS
from spotscape._places import Places
from spotscape._validate import check_choice, check_name, check_present, shown, unknown_argument
from spotscape.data._fields import ExpressionField, graph_fields, starts_with_whole_numbers, window_fields
from spotscape.data._findings import Findings
from spotscape.data._manager import DataManager
from spotscape.data._setup_checks import (
    as_matrix,
    check_all_measured,
    check_expression,
    check_genes,
    check_given_features,
    check_modalities,
    check_spots,
)
from spotscape.graph._build import METHODS
from spotscape.graph._storage import read_graph
from spotscape.preprocessing._values import VALUES

# What scvi-tools passes to the set-up method when it sets up data by the registry of a model.
_TRANSFER_ARGUMENTS = {"source_registry", "extend_categories", "allow_missing_labels"}

# What models of scvi-tools, scanpy and squidpy call what is meant here.
_SLICES = "pass the column of the slices as `slice_key`: differences between them are removed"
_OTHER_NAMES = {
    **dict.fromkeys(("batch_key", "sample_key", "library_key"), _SLICES),
    **dict.fromkeys(
        ("categorical_covariate_keys", "continuous_covariate_keys"),
        "differences between slices are removed and no other covariates; leave it out",
    ),
    "coords_key": "pass the key of the coordinates as `spatial_key`",
}


def register(
    model_class: type[BaseModelClass],
    data: AnnData | MuData,
    setup_method_args: dict[str, Any],
    transfer_kwargs: dict[str, Any],
) -> None:
    """Check data and register them for a model.

    Parameters
    ----------
    model_class
        Class of the model.
    data
        AnnData or MuData to set up.
    setup_method_args
        Result of :meth:`scvi.model.base.BaseModelClass._get_setup_method_args`.
    transfer_kwargs
        Further keyword arguments of the setup method, which scvi-tools passes.

    Raises
    ------
    TypeError
        If the setup method has no such argument.
    """
    if unknown := sorted(transfer_kwargs.keys() - _TRANSFER_ARGUMENTS):
        method = setup_method_args["setup_method_name"]
        if unknown[0] in _OTHER_NAMES:
            raise TypeError(f"`{method}` has no argument {unknown[0]!r}; {_OTHER_NAMES[unknown[0]]}.")
        raise unknown_argument(getattr(model_class, method), unknown[0])
    arguments = setup_method_args["setup_args"]
    findings = Findings()
    name = "mdata" if "modality" in arguments else "adata"
    kind = check_data(data, arguments, transfer_kwargs.get("source_registry"), findings, name)
    manager = DataManager(
        fields=window_fields(kind, arguments, findings)
        if "rna_key" in arguments
        else graph_fields(kind, arguments, findings),
        setup_method_args=setup_method_args,
        # An image may lack spots; the pairing has been checked above.
        validation_checks=AnnDataManagerValidationCheck(check_fully_paired_mudata=False),
    )
    manager.register_fields(data, **transfer_kwargs)
    model_class.register_manager(manager)


def check_data(
    data: Any, setup_args: Mapping[str, Any], source_registry: dict | None, findings: Findings, name: str = "adata"
) -> str | None:
    """Check that data can be set up with these arguments, and match the model that they are set up for.

    Parameters
    ----------
    data
        AnnData or MuData.
    setup_args
        Arguments of the setup method.
    source_registry
        Registry of the model that the data are set up for. ``None``: a new model.
    findings
        Receives what is noticed about the data.
    name
        Name of the argument with the data.

    Returns
    -------
    Scale of the expression, ``"counts"``, ``"normalized"`` or ``"log-normalized"``; ``None`` for features in ``obsm``.
    """
    check_kind(data, setup_args, name)
    check_choice(setup_args["values"], ("auto", *VALUES), "values")
    adata = table_of(data, setup_args)
    if "graph" in setup_args:
        check_choice(setup_args["graph"], (*METHODS, "precomputed"), "graph")
        check_name(setup_args["graph_key"], "graph_key", "a spatial graph")
    sources = {} if source_registry is None else source_registry["field_registries"]
    # Models that were saved before have no such argument.
    if not sources and (labels_key := setup_args.get("labels_key")) is not None:
        check_present(labels_key, "labels_key", adata.obs.columns, "adata.obs")
    expected = None
    if sources:
        state = sources[REGISTRY_KEYS.X_KEY]["state_registry"]
        expected = state.get(ExpressionField.VALUES_KEY)
        if expected is not None:
            check_genes(state[ExpressionField.COLUMN_NAMES_KEY], adata)
    else:
        check_all_measured(adata)
    if "rna_key" in setup_args:
        image = _image_holder(data, setup_args)
        if sources:
            _check_widths(sources, adata, image, setup_args)
        kind = check_modalities(adata, image, setup_args, findings)
    # Models that were saved before have no such argument.
    elif setup_args.get("features_key") is not None:
        check_given_features(adata, setup_args, findings)
        _check_widths(sources, adata, None, setup_args)
        kind = None
    else:
        slice_key = setup_args["slice_key"]
        slices = check_spots(adata, slice_key, setup_args["spatial_key"], findings)
        layer, values, size_factor_key = (setup_args[name] for name in ("layer", "values", "size_factor_key"))
        kind = check_expression(adata, layer, values, size_factor_key, slice_key, slices, findings)
    if setup_args.get("graph") == "precomputed":
        _note_heavy_edges(adata, setup_args["graph_key"], findings)
    if sources and kind != expected:
        found, needed = ("features in `obsm`" if what is None else f"{what} values" for what in (kind, expected))
        raise ValueError(
            f"The model was set up with {needed}, but this data has {found}; give it data of the same kind (see "
            "`layer`, `features_key` or `rna_key`)."
        )
    findings.warn()
    return kind


def _note_heavy_edges(adata: AnnData, graph_key: str, findings: Findings) -> None:
    """Notice a given graph whose edges weigh more than a spot itself, such as one of distances."""
    graph = read_graph(adata, graph_key)
    if graph is not None and graph.nnz and (largest := float(graph.max())) > 1:
        findings.note(
            "weights of the graph",
            f"Edges in `adata.obsp['{graph_key}_connectivities']` weigh up to {largest:g}, and a spot itself 1, so its "
            "neighbours count more than the spot; if these are distances, pass a graph of connectivities.",
        )


def table_of(data: AnnData | MuData, setup_args: Mapping[str, Any]) -> AnnData:
    """AnnData with the expression and the slices: the data themselves, or their modality that was set up."""
    return data.mod[setup_args["modality"]] if isinstance(data, MuData) else data


def check_unchanged(manager: AnnDataManager) -> None:
    """Raise if data lack what they had when they were set up, or have other genes or values.

    Parameters
    ----------
    manager
        Manager of the data.

    Raises
    ------
    ValueError
        If the data was changed.
    """
    data: Any = manager.adata
    n_spots = manager.registry["field_registries"][REGISTRY_KEYS.X_KEY]["summary_stats"].get("n_cells", data.n_obs)
    if n_spots != data.n_obs:
        raise _changed(f"it had {n_spots} spots and has {data.n_obs}")
    for registry_key, place in manager.data_registry.items():
        holder = data.mod[place["mod_key"]] if place.get("mod_key") else data
        attribute, key = place["attr_name"], place.get("attr_key")
        # Graphs are built again where they are missing.
        if attribute == "X" and holder.X is None:
            raise _changed("`X` is gone")
        if attribute not in ("X", "obsp") and key not in getattr(holder, attribute):
            raise _changed(f"`{attribute}[{key!r}]` is gone")
        state = manager.get_state_registry(registry_key)
        original = state.get("original_key")
        if attribute == "obs" and original not in (None, key) and original not in holder.obs:
            raise _changed(f"`obs[{original!r}]` is gone")
        if registry_key == REGISTRY_KEYS.X_KEY and attribute == "obsm":
            values, width = as_matrix(holder.obsm[key]), len(state["column_names"])
            if values.shape[1] != width:
                raise _changed(f"`obsm[{key!r}]` had {width} columns and has {values.shape[1]}")
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if bad.size:
                first = Places.of(holder).spot(int(bad[0]))
                raise _changed(
                    f"`obsm[{key!r}]` is missing or infinite in part for {bad.size} spot(s), such as {first}"
                )
        if ExpressionField.VALUES_KEY in state:
            genes = np.asarray(state[ExpressionField.COLUMN_NAMES_KEY]).astype(str)
            if not np.array_equal(genes, holder.var_names.to_numpy(str)):
                raise _changed(f"it had {len(genes)} genes and has {holder.n_vars}, or has others or another order")
            matrix = holder.X if attribute == "X" else holder.layers[key]
            was_whole = state[ExpressionField.VALUES_KEY] == "counts" and state.get(ExpressionField.IS_WHOLE_KEY, True)
            if was_whole and not starts_with_whole_numbers(matrix):
                raise _changed("it had counts and has other values; keep counts in a layer, and name it in `layer`")


def _changed(what: str) -> ValueError:
    return ValueError(
        f"The data was changed since `setup_anndata`: {what}. Set it up again; if genes or values differ, a new model "
        "is needed."
    )


def check_kind(data: Any, setup_args: Mapping[str, Any], name: str = "adata") -> None:
    """Raise unless the data are a MuData with the modality of the setup, or an AnnData if the setup has no modality."""
    needed = MuData if "modality" in setup_args else AnnData
    if not isinstance(data, needed):
        raise TypeError(
            f"`{name}` is {shown(data)}, a {type(data).__name__} where a {needed.__name__} is needed; pass an AnnData "
            "to `setup_anndata` and what follows, a MuData to `setup_mudata` and what follows."
        )
    if isinstance(data, AnnData):
        return
    modality = setup_args["modality"]
    if modality not in data.mod:
        raise KeyError(f"{modality!r} is not a modality of the MuData, which has {', '.join(data.mod)}.")
    if not np.array_equal(data.obs_names, data.mod[modality].obs_names):
        raise ValueError(
            f"The spots of the modality {modality!r} are not those of the MuData in the same order; make the MuData "
            "anew with all modalities in one order."
        )


def _image_holder(data: AnnData | MuData, setup_args: Mapping[str, Any]) -> AnnData | None:
    """AnnData with the image features. ``None`` without image."""
    if isinstance(data, AnnData):
        return data if setup_args["image_key"] is not None else None
    name = setup_args["image_modality"]
    if name is None:
        if setup_args["image_key"] is not None:
            raise ValueError("`image_key` is given without `image_modality`; pass both, or neither.")
        return None
    if name not in data.mod:
        raise KeyError(
            f"`image_modality` is {name!r}, which is not a modality of the MuData; it has {', '.join(data.mod)}. Pass "
            "None for expression only."
        )
    return data.mod[name]


def _check_widths(sources: dict, adata: AnnData, image: AnnData | None, setup_args: Mapping[str, Any]) -> None:
    """Raise if the features of new data do not have the same number of columns as those of the model."""
    for registry_key, key, holder in (
        (REGISTRY_KEYS.X_KEY, setup_args["rna_key" if "rna_key" in setup_args else "features_key"], adata),
        (FIELD_KEYS.IMAGE, setup_args.get("image_key"), image),
    ):
        state = sources.get(registry_key, {}).get("state_registry", {})
        if not state or ExpressionField.VALUES_KEY in state or key is None or holder is None or key not in holder.obsm:
            continue
        expected, found = len(state["column_names"]), holder.obsm[key].shape[1]
        if found != expected:
            raise ValueError(
                f"`obsm[{key!r}]` has {found} columns, but the model was set up with {expected}; make the features in "
                "the same way as those."
            )
