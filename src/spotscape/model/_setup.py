"""How data is set up for the models on expression and a spatial graph."""

from typing import Any, Literal

import numpy as np
from anndata import AnnData
from mudata import MuData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass
from scvi.utils import setup_anndata_dsp

from spotscape._validate import check_choice
from spotscape.data import ExpressionField, check_all_measured, check_genes, check_setup, spatial_fields


class SpatialSetupMixin(BaseModelClass):
    """``setup_anndata`` and ``setup_mudata``."""

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        graph: Literal["knn", "radius", "delaunay", "precomputed"] = "knn",
        n_neighbors: int | None = None,
        radius: float | None = None,
        graph_key: str = "spatial",
        **kwargs: Any,
    ) -> None:
        """%(summary)s

        Everything is checked first; if anything is wrong the AnnData stays as it was.

        Parameters
        ----------
        %(param_adata)s
        %(param_layer)s
        slice_key
            Column of ``adata.obs`` with the slice (section) of each spot. ``None``: all spots are of one slice.
        spatial_key
            Key of ``adata.obsm`` with the coordinates, ``(n_spots, 2)`` or ``(n_spots, 3)``, in any unit; slices may
            each have their own.
        size_factor_key
            Column of ``adata.obs`` with each spot's total over all genes, for data that holds some of the genes only.
            ``None``: the totals over the genes at hand.
        values
            What the expression is. ``"auto"`` recognises it and warns if it is not counts; ``"counts"`` refuses all
            else; ``"normalized"`` (library size removed, linear) and ``"log-normalized"`` take the values as that.
        graph
            How spots are joined within each slice; see :func:`~spotscape.pp.spatial_neighbors`. ``"precomputed"`` takes
            the graph that is stored, squidpy's for example.
        n_neighbors
            Number of nearest neighbours for ``graph="knn"``. ``None``: by the size of each slice, see
            :func:`~spotscape.graph.default_n_neighbors`.
        radius
            Radius for ``graph="radius"`` (or longest edge for ``"delaunay"``) as a multiple of the slice's median
            distance to the nearest neighbour.
        graph_key
            The graph is stored as ``adata.obsp[f"{graph_key}_connectivities"]`` in squidpy's schema.

        Returns
        -------
        %(returns)s

        Raises
        ------
        KeyError
            If a key is missing.
        ValueError, TypeError
            If the data cannot be used; the message says why and what to do.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        cls._register(adata, setup_method_args, kwargs)

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_mudata(
        cls,
        mdata: MuData,
        modality: str,
        layer: str | None = None,
        slice_key: str | None = None,
        spatial_key: str = "spatial",
        size_factor_key: str | None = None,
        *,
        values: Literal["auto", "counts", "normalized", "log-normalized"] = "auto",
        graph: Literal["knn", "radius", "delaunay", "precomputed"] = "knn",
        n_neighbors: int | None = None,
        radius: float | None = None,
        graph_key: str = "spatial",
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s

        Parameters
        ----------
        %(param_mdata)s
        modality
            Modality with the expression; it also holds the slices, the coordinates and the graph.
        %(param_layer)s
        slice_key, spatial_key, size_factor_key, values, graph, n_neighbors, radius, graph_key
            As in :meth:`setup_anndata`, within the modality.

        Returns
        -------
        %(returns)s
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        cls._register(mdata, setup_method_args, kwargs)

    @classmethod
    def _register(cls, data: AnnData | MuData, setup_method_args: dict, transfer_kwargs: dict[str, Any]) -> None:
        if unknown := transfer_kwargs.keys() - {"source_registry", "extend_categories", "allow_missing_labels"}:
            method = setup_method_args["setup_method_name"]
            raise TypeError(
                f"`{method}` has no argument {sorted(unknown)[0]!r}; see its documentation for those it has."
            )
        arguments = dict(setup_method_args["setup_args"])
        arguments["values"] = check_data(data, arguments, transfer_kwargs.get("source_registry"))
        method = arguments.pop("graph")
        manager = AnnDataManager(fields=spatial_fields(method=method, **arguments), setup_method_args=setup_method_args)
        manager.register_fields(data, **transfer_kwargs)
        cls.register_manager(manager)


def check_kind(data: Any, setup_args: dict[str, Any]) -> None:
    """Raise unless the data is a MuData with the modality that was set up, or an AnnData where none was."""
    needed = MuData if "modality" in setup_args else AnnData
    if not isinstance(data, needed):
        raise TypeError(
            f"Got a {type(data).__name__} where a {needed.__name__} is needed; `setup_anndata` and what follows take "
            "an AnnData, `setup_mudata` and what follows a MuData."
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


def check_data(data: AnnData | MuData, setup_args: dict[str, Any], source_registry: dict | None) -> str:
    """Raise if data cannot be set up with these arguments, or does not fit the model that it is set up for.

    Returns
    -------
    What the expression is: ``"counts"``, ``"normalized"`` or ``"log-normalized"``.
    """
    check_kind(data, setup_args)
    adata = data.mod[setup_args["modality"]] if isinstance(data, MuData) else data
    check_choice(setup_args["graph"], ("knn", "radius", "delaunay", "precomputed"), "graph")
    check_choice(setup_args["values"], ("auto", "counts", "normalized", "log-normalized"), "values")
    source = None
    if source_registry is None:
        check_all_measured(adata)
    else:
        source = source_registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        check_genes(source[ExpressionField.COLUMN_NAMES_KEY], adata)
    names = ("layer", "values", "slice_key", "spatial_key", "size_factor_key")
    found = check_setup(adata, **{name: setup_args[name] for name in names})
    expected = found if source is None else source[ExpressionField.VALUES_KEY]
    if found != expected:
        raise ValueError(
            f"The model was set up with {expected} values, but these look like {found} values; give it data of the "
            "same kind (see `layer`)."
        )
    return found
