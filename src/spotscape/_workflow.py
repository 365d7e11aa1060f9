"""The whole way from sections to domains, as the command line offers it."""

import io
import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData

from spotscape import metrics, model, pl, tl
from spotscape._exports import write_readme, write_tables
from spotscape._progress import Progress
from spotscape._report._report import make_report
from spotscape._report._tissue import read_tissue
from spotscape._results import into_whole_folder
from spotscape._slices import read_slices
from spotscape._validate import check_choice, check_integer
from spotscape.pl._colors import as_categorical
from spotscape.pl._matching import matched_colors
from spotscape.tl._domain_reference import DomainReference

#: Slices with fewer spots have hardly more neighbourhoods than domains.
_MIN_SPOTS = 50
#: Largest number of domains that is tried.
_MOST_DOMAINS = 15
#: ``denoised.csv`` holds counts per 10,000.
_LIBRARY_SIZE = 1e4
_PACKAGES = ("spotscape", "scvi-tools", "torch", "anndata", "scanpy", "numpy")
MODELS = ("SPOTSCAPE", "SEDR")


@into_whole_folder
def analyse(
    adata: AnnData,
    out: Path,
    *,
    n_domains: int | str = "auto",
    model_name: str = "SPOTSCAPE",
    layer: str | None = None,
    slice_key: str = "slice",
    spatial_key: str = "spatial",
    size_factor_key: str | None = None,
    values: str = "auto",
    slice_correction: str | None = None,
    method: str = "mixture",
    label_key: str | None = None,
    genes: Sequence[str] = (),
    max_epochs: int | None = None,
    batch_size: int | None = None,
    accelerator: str = "auto",
    seed: int = 0,
    config: str | None = None,
    checkpoint_dir: Path | None = None,
    source: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a model and write report, domains, tables, pictures, scores, data and model.

    Parameters
    ----------
    adata
        Sections. The results are added to it.
    out
        Folder of the results. It appears, or replaces results of an earlier run if ``force`` is given, when all files
        are complete. Other files in it are kept.
    n_domains
        Number of domains. ``"auto"``: chosen by :func:`spotscape.tl.choose_n_domains`.
    model_name
        ``"SPOTSCAPE"`` or ``"SEDR"``.
    layer, slice_key, spatial_key, size_factor_key, values
        As :meth:`spotscape.SPOTSCAPE.setup_anndata`.
    slice_correction
        As :class:`spotscape.SPOTSCAPE`.
    method
        As :func:`spotscape.tl.domains`.
    label_key
        Column of ``adata.obs`` with annotated domains, to score against; used for nothing else.
    genes
        Genes whose denoised expression is written.
    max_epochs, batch_size, accelerator, checkpoint_dir
        As :meth:`spotscape.SPOTSCAPE.train`.
    seed
        Seed of training and clustering.
    config
        Content of ``config.toml``.
    source
        File that the sections are from, for errors.
    progress
        Receives what is being done.

    Returns
    -------
    Seconds of each step, names of the files and, with ``label_key``, scores over all spots and for each slice.
    """
    progress = Progress(quiet=True) if progress is None else progress
    with _of_file(source):
        if label_key is not None and label_key not in adata.obs:
            raise KeyError(f"{label_key!r} is not in `adata.obs`; see `--label-key`.")
        if label_key is not None and adata.obs[label_key].isna().all():
            warnings.warn(
                f"No spot is annotated in `adata.obs[{label_key!r}]`; nothing is scored.", UserWarning, stacklevel=2
            )
            label_key = None
        check_choice(model_name, MODELS, "model")
        missing = [gene for gene in genes if gene not in adata.var_names]
        if missing:
            raise KeyError(f"{missing[0]!r} is not a gene of the data; see `--genes`.")
        _check_sizes(adata, slice_key)
        if n_domains != "auto":
            check_integer(n_domains, "n_domains", minimum=2, maximum=adata.n_obs - 1)
        if method == "leiden" and not all(find_spec(name) for name in ("igraph", "leidenalg")):
            raise ImportError('Leiden needs further packages; install them with `pip install "spotscape[leiden]"`.')

    clock = Clock(progress)
    model_class: Any = getattr(model, model_name)
    with clock("set-up"), _of_file(source):
        model_class.setup_anndata(
            adata,
            layer=layer,
            slice_key=slice_key,
            spatial_key=spatial_key,
            size_factor_key=size_factor_key,
            values=values,
        )
        trained = model_class(adata, slice_correction=slice_correction, seed=seed)
    # scvi-tools prints a line of its own when training fails.
    with clock("training"), redirect_stdout(io.StringIO()):
        trained.train(
            max_epochs=max_epochs,
            batch_size=batch_size,
            accelerator=accelerator,
            enable_progress_bar=False,
            callbacks=[progress.callback()],
            checkpoint_dir=checkpoint_dir,
        )
    rep_key = f"X_{model_name.lower()}"
    with clock("latent representation"):
        adata.obsm[rep_key] = trained.get_latent_representation()
    number = n_domains
    if isinstance(number, str):
        with clock("number of domains"):
            number = _chosen_number(adata, rep_key, slice_key, spatial_key, seed)
        progress.say(f"{number} domains are the most reproducible")
    with clock("domains"):
        tl.domains(adata, rep_key, n_domains=number, method=method, seed=seed)
    if label_key is not None and as_categorical(adata.obs[label_key]) is not None:
        # Figures of domains and annotation can be compared by eye.
        adata.uns["spatial_domain_colors"] = matched_colors(adata, "spatial_domain", label_key)
    if method != "leiden":
        # Without the check of `keep_domains`, which computes the representation again.
        trained.domains_ = DomainReference.of_data(adata, "spatial_domain", "adata", "domain_key").get_state()
    with clock("markers"):
        find_markers(adata, slice_key, spatial_key)

    result: dict[str, Any] = {"n_domains": adata.obs["spatial_domain"].nunique(), "seconds": clock.rounded()}
    if label_key is not None:
        result["scores"] = _scores(adata, label_key, slice_key)
    with clock("report and tables"):
        write_results(adata, trained, out, result, slice_key, spatial_key, progress=progress)
        if label_key is not None:
            pl.spatial(adata, label_key, slice_key=slice_key, spatial_key=spatial_key, show=False)
            plt.gcf().savefig(out / "annotation.png", dpi=150, bbox_inches="tight")
            plt.close("all")
        if len(genes):
            _write_denoised(trained, list(genes), out)
    with clock("writing data and model"):
        trained.save(str(out / "model"), overwrite=True)
        adata.write_h5ad(out / "sections.h5ad", compression="lzf")
    if config is not None:
        (out / "config.toml").write_text(config, encoding="utf-8")
    write_readme(out)
    return result | {"seconds": clock.rounded()}


def write_results(
    adata: AnnData,
    trained: Any,
    out: Path,
    result: dict[str, Any],
    slice_key: str | None,
    spatial_key: str,
    *,
    progress: Progress,
) -> None:
    """Write report, tables and pictures, and add versions and notes to the result."""
    result |= {"versions": {name: version(name) for name in _PACKAGES}, "notes": progress.notes}
    tissue = read_tissue(
        adata, domain_key="spatial_domain", slice_key=slice_key, spatial_key=spatial_key, layer=None, model=trained
    )
    text, pictures = make_report(
        tissue, model=trained, notes=progress.notes, seconds=result["seconds"], scores=result.get("scores")
    )
    (out / "report.html").write_text(text, encoding="utf-8")
    for name in ("domains", "embedding", "history"):
        if name in pictures:
            (out / f"{name}.png").write_bytes(pictures[name].png)
    write_tables(tissue, out)


def find_markers(adata: AnnData, slice_key: str | None, spatial_key: str) -> None:
    """Rank the genes of the domains, or warn if the expression is not counts."""
    try:
        tl.markers(adata, slice_key=slice_key, spatial_key=spatial_key)
    except ValueError as error:
        warnings.warn(f"There are no markers: {error}", UserWarning, stacklevel=2)


@contextmanager
def _of_file(source: str | None) -> Iterator[None]:
    """Name the file in errors about its content."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        if source is None:
            raise
        kind = next(kind for kind in (KeyError, TypeError, ValueError) if isinstance(error, kind))
        raise kind(f"{source}: {error.args[0] if error.args else error}") from error


class Clock:
    """Times steps, and says when they begin.

    Parameters
    ----------
    progress
        Receives the names of the steps.
    """

    def __init__(self, progress: Progress):
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        self._progress.say(step)
        start = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - start

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 2) for name, value in self.seconds.items()}


def _chosen_number(adata: AnnData, rep_key: str, slice_key: str, spatial_key: str, seed: int) -> int:
    # Halves of the tissue must have more spots than domains.
    most = max(3, min(_MOST_DOMAINS, adata.n_obs // 8))
    return tl.choose_n_domains(
        adata,
        rep_key,
        range(2, most + 1),
        slice_key=slice_key if slice_key in adata.obs else None,
        spatial_key=spatial_key,
        seed=seed,
    )


def _check_sizes(adata: AnnData, slice_key: str) -> None:
    """Raise ``ValueError`` if a slice has too few spots for domains."""
    if slice_key not in adata.obs:
        return
    sizes = read_slices(adata, slice_key).value_counts()
    if len(sizes) and sizes.iloc[-1] < _MIN_SPOTS:
        raise ValueError(
            f"Slice {sizes.index[-1]!r} has {sizes.iloc[-1]} spots, too few for domains; leave out slices with fewer "
            f"than {_MIN_SPOTS}."
        )


def _scores(adata: AnnData, label_key: str, slice_key: str) -> dict[str, dict[str, float]]:
    slices = read_slices(adata, slice_key)
    subsets = {"all": np.full(adata.n_obs, True)}
    subsets |= {name: (slices == name).to_numpy() for name in slices.cat.categories}
    truth, found = adata.obs[label_key], adata.obs["spatial_domain"]
    return {
        name: {score: round(value, 3) for score, value in metrics.scores(truth[rows], found[rows]).items()}
        for name, rows in subsets.items()
        if truth[rows].notna().any()
    }


def _write_denoised(trained: Any, genes: list[str], out: Path) -> None:
    table = trained.get_normalized_expression(gene_list=genes, library_size=_LIBRARY_SIZE)
    table.to_csv(out / "denoised.csv", index_label="barcode", float_format="%.5g")


def read_result(folder: Path) -> Mapping[str, Any]:
    """Content of ``result.json`` in a folder of results."""
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))
