"""What the commands of the command line do."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spotscape._progress import Progress

_DATA, _MODEL = "sections.h5ad", "model"


def run(
    paths: Sequence[str],
    out: Path,
    *,
    slice_key: str | None,
    table: str | None,
    bin_size: int | None,
    lazy: bool,
    force: bool,
    resume: bool,
    progress: Progress,
    **options: Any,
) -> None:
    """Analyse sections; see :func:`spotscape._workflow.analyse`."""
    from spotscape._results import check_out
    from spotscape.io._paths import list_paths

    files = list_paths(paths)
    check_out(out, force=force, inputs=files)
    quieten()
    from spotscape._workflow import analyse
    from spotscape.io import read_sections

    progress.say(f"reading {len(files)} file{'' if len(files) == 1 else 's'} or folder{'' if len(files) == 1 else 's'}")
    adata = read_sections(files, slice_key=slice_key, table=table, bin_size=bin_size, lazy=lazy)
    # Beside the results, which appear only when they are complete.
    checkpoints = out.absolute().with_name(f".{out.absolute().name}.training") if resume else None
    result = analyse(
        adata,
        out,
        slice_key=slice_key or "slice",
        force=force,
        checkpoint_dir=checkpoints,
        source=str(files[0]) if len(files) == 1 else None,
        progress=progress,
        **options,
    )
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    _say_result(result, out, progress)


def demo(out: Path, *, seed: int, force: bool, progress: Progress) -> None:
    """Analyse the built-in tissue."""
    from spotscape._results import check_out

    check_out(out, force=force)
    quieten()
    from spotscape._workflow import analyse
    from spotscape.datasets import synthetic_tissue

    adata = synthetic_tissue(seed=seed)
    n_domains = int(adata.obs["domain"].nunique())
    result = analyse(
        adata,
        out,
        n_domains=n_domains,
        layer="counts",
        label_key="domain",
        seed=seed,
        force=force,
        progress=progress,
    )
    _say_result(result, out, progress)


def report(folder: Path, *, out: Path | None, title: str | None, lazy: bool, progress: Progress) -> None:
    """Write the report of a run again, from its data and its model."""
    _check_results(folder)
    quieten()
    from spotscape._report._report import make_report
    from spotscape._report._tissue import read_tissue
    from spotscape._workflow import read_result
    from spotscape._write import whole_file

    progress.say(f"reading {folder / _DATA} and the model")
    adata = _read_data(folder, lazy)
    result = read_result(folder)
    trained = load_model(folder / _MODEL, adata if "slice_novelty" not in adata.uns else False)
    spatial_key = trained.registry_["setup_args"]["spatial_key"]
    tissue = read_tissue(
        adata, domain_key="spatial_domain", slice_key=None, spatial_key=spatial_key, layer=None, model=trained
    )
    progress.say("drawing the report")
    text, _ = make_report(
        tissue,
        model=trained,
        title=title,
        notes=result.get("notes", []),
        seconds=result.get("seconds"),
        scores=result.get("scores"),
    )
    path = folder / "report.html" if out is None else out
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    if not progress.quiet:
        print(f"Wrote {path}")


def map_sections(
    folder: Path,
    paths: Sequence[str],
    out: Path,
    *,
    slice_key: str | None,
    table: str | None,
    bin_size: int | None,
    force: bool,
    progress: Progress,
) -> None:
    """Find the domains of a run in new sections."""
    from spotscape._results import check_out
    from spotscape.io._paths import list_paths

    _check_results(folder)
    files = list_paths(paths)
    check_out(out, force=force, inputs=files)
    quieten()
    import anndata

    from spotscape._mapping import map_to_domains
    from spotscape.io import read_sections

    progress.say("reading")
    adata = read_sections(files, slice_key=slice_key, table=table, bin_size=bin_size)
    trained = load_model(folder / _MODEL, False)
    reference = anndata.read_h5ad(folder / _DATA, backed="r")
    result = map_to_domains(
        adata,
        out,
        trained=trained,
        reference=reference,
        model_folder=folder / _MODEL,
        slice_key=slice_key or "slice",
        force=force,
        progress=progress,
    )
    _say_result(result, out, progress)


def align(folder: Path, out: Path, *, reference: str | None, transform: str, force: bool, progress: Progress) -> None:
    """Align the slices of a run with one of them."""
    from spotscape._results import check_out

    _check_results(folder)
    check_out(out, force=force, inputs=[folder / _DATA])
    quieten()
    from spotscape._mapping import align_slices

    progress.say(f"reading {folder / _DATA}")
    adata = _read_data(folder, lazy=False)
    setup = load_model(folder / _MODEL, False).registry_["setup_args"]
    result = align_slices(
        adata,
        out,
        reference=reference,
        transform=transform,
        slice_key=setup["slice_key"],
        spatial_key=setup["spatial_key"],
        force=force,
        progress=progress,
    )
    _say_result(result, out, progress)


def load_model(folder: Path, adata: Any) -> Any:
    """Load a model of any class of this package."""
    from spotscape import model

    name = model.SPOTSCAPE.load_registry(folder)["model_name"]
    return getattr(model, name).load(folder, adata=adata)


def quieten() -> None:
    """Leave to the terminal what concerns the data: progress, notes and results."""
    import logging

    import matplotlib
    import scvi

    matplotlib.use("Agg")
    scvi.settings.verbosity = logging.WARNING
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _check_results(folder: Path) -> None:
    """Raise unless a folder has the data and the model of a run."""
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; pass the folder that `spotscape run` wrote.")
    for name in ("result.json", _DATA, _MODEL):
        if not (folder / name).exists():
            raise FileNotFoundError(f"{folder} has no {name}; pass the folder that `spotscape run` wrote.")
    try:
        json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / 'result.json'} is damaged; run the analysis again.") from error


def _read_data(folder: Path, lazy: bool) -> Any:
    from spotscape.io._anndata_files import read_anndata
    from spotscape.io._refusals import explained

    with explained(folder / _DATA, "an AnnData file"):
        return read_anndata(folder / _DATA, lazy=lazy)


def _say_result(result: dict[str, Any], out: Path, progress: Progress) -> None:
    if progress.quiet:
        return
    print("seconds  " + ", ".join(f"{name} {value}" for name, value in result["seconds"].items()))
    width = max([12, *(len(name) + 2 for name in result.get("scores", {}))])
    for name, scores in result.get("scores", {}).items():
        print(f"{name:<{width}}" + "  ".join(f"{score} {value:.3f}" for score, value in scores.items()))
    shown = sorted({Path(name).parts[0] for name in result["files"]})
    print(f"Wrote {', '.join(shown)} to {out}/")
    if "report.html" in shown:
        print(f"Open {out / 'report.html'} in a browser.")
    sys.stdout.flush()
