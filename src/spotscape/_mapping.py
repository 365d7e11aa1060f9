"""Further ways of the command line: new sections through a saved model, and slices aligned with each other."""

import shutil
import warnings
from pathlib import Path
from typing import Any

from anndata import AnnData

from spotscape import pl, tl
from spotscape._exports import write_readme
from spotscape._progress import Progress
from spotscape._results import into_whole_folder
from spotscape._slices import read_slices
from spotscape._workflow import Clock, find_markers, write_results

#: Column that names the slices where none was given.
_SLICE = "slice"


@into_whole_folder
def map_to_domains(
    adata: AnnData,
    out: Path,
    *,
    trained: Any,
    reference: AnnData,
    model_folder: Path,
    slice_key: str,
    progress: Progress,
) -> dict[str, Any]:
    """Represent new sections by a trained model, find its domains in them, and write report, tables and data.

    Parameters
    ----------
    adata
        New sections. They are prepared for the model, and the results are added.
    out
        Folder of the results, as in :func:`spotscape._workflow.analyse`.
    trained
        The model, without data.
    reference
        Sections of the model, with domains.
    model_folder
        Folder of the model, which is copied to the results.
    slice_key
        Column of ``adata.obs`` with the slices.
    progress
        Receives what is being done.

    Returns
    -------
    Seconds of each step and names of the files.
    """
    clock = Clock(progress)
    setup = trained.registry_["setup_args"]
    with clock("preparing the genes of the model"):
        _follow_setup(adata, setup, slice_key)
        type(trained).prepare_query_anndata(adata, trained)
    rep_key = str(reference.uns["spatial_domain"]["use_rep"])
    with clock("latent representation"):
        adata.obsm[rep_key] = trained.get_latent_representation(adata)
        adata.uns["slice_novelty"] = trained.get_slice_novelty(adata)
    with clock("domains"):
        tl.predict_domains(adata, reference)
    with clock("markers"):
        find_markers(adata, setup["slice_key"], setup["spatial_key"])
    result: dict[str, Any] = {"n_domains": adata.obs["spatial_domain"].nunique(), "seconds": clock.rounded()}
    with clock("report and tables"):
        write_results(adata, trained, out, result, setup["slice_key"], setup["spatial_key"], progress=progress)
    with clock("writing data and model"):
        shutil.copytree(model_folder, out / "model")
        adata.write_h5ad(out / "sections.h5ad", compression="lzf")
    write_readme(out)
    return result | {"seconds": clock.rounded()}


@into_whole_folder
def align_slices(
    adata: AnnData,
    out: Path,
    *,
    reference: str | None,
    transform: str,
    slice_key: str | None,
    spatial_key: str,
    progress: Progress,
) -> dict[str, Any]:
    """Align the slices of a run with one of them, and write positions, picture and data.

    Parameters
    ----------
    adata
        Sections with a representation.
    out
        Folder of the results, as in :func:`spotscape._workflow.analyse`.
    reference
        Slice that stays in place. ``None``: the one with the most spots.
    transform
        As :func:`spotscape.tl.align`.
    slice_key, spatial_key
        Keys of slices and coordinates.
    progress
        Receives what is being done.

    Returns
    -------
    Seconds of each step and names of the files.
    """
    if slice_key is None or adata.obs[slice_key].nunique() < 2:
        raise ValueError("The run has one slice; an alignment needs at least two.")
    sizes = read_slices(adata, slice_key).value_counts()
    reference = str(sizes.index[0]) if reference is None else reference
    clock = Clock(progress)
    use_rep = str(adata.uns["spatial_domain"]["use_rep"])
    with clock(f"alignment with {reference}"):
        tl.align(adata, reference, use_rep=use_rep, slice_key=slice_key, spatial_key=spatial_key, transform=transform)
    with clock("picture, table and data"):
        pl.alignment(adata, color="spatial_domain", save=out / "alignment.png", show=False)
        table = adata.obs[[slice_key]].rename(columns={slice_key: _SLICE}).rename_axis("barcode")
        for end, key in (("", spatial_key), ("_aligned", f"{spatial_key}_aligned")):
            table[f"x{end}"], table[f"y{end}"] = adata.obsm[key][:, 0], adata.obsm[key][:, 1]
        table["similarity"] = adata.obs["alignment_similarity"]
        table.to_csv(out / "alignment.csv", float_format="%.6g")
        adata.write_h5ad(out / "sections.h5ad", compression="lzf")
    write_readme(out)
    return {"reference": reference, "seconds": clock.rounded(), "notes": progress.notes}


def _follow_setup(adata: AnnData, setup: dict[str, Any], slice_key: str) -> None:
    """Give new sections the column of slices and the layer that the model was set up with."""
    wanted = setup["slice_key"]
    if wanted is not None and wanted not in adata.obs:
        adata.obs[wanted] = adata.obs[slice_key]
    if wanted is None and adata.obs[slice_key].nunique() > 1:
        raise ValueError("The model was trained on one slice without a name; map one slice at a time.")
    layer = setup["layer"]
    if layer is not None and layer not in adata.layers:
        warnings.warn(
            f"The model was trained on the layer {layer!r}, which the new sections lack; `X` is used.",
            UserWarning,
            stacklevel=2,
        )
        adata.layers[layer] = adata.X.copy()
