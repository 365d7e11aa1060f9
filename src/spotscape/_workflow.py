"""The whole way from sections to domains, as the command line offers it."""

import json
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData

from spotscape import metrics, pl, tl
from spotscape._results import into_whole_folder
from spotscape._validate import check_integer
from spotscape.model import SPOTSCAPE

#: Slices with fewer spots have hardly more neighbourhoods than domains.
_MIN_SPOTS = 50
#: More spots make the picture of the embedding slower to draw than the model to train, and no clearer.
_SPOTS_IN_EMBEDDING = 4000
#: ``layers["denoised"]`` holds counts per 10,000.
_LIBRARY_SIZE = 1e4


@into_whole_folder
def analyse(
    adata: AnnData,
    out: Path,
    *,
    n_domains: int,
    layer: str | None = None,
    slice_key: str = "slice",
    spatial_key: str = "spatial",
    size_factor_key: str | None = None,
    values: str = "auto",
    method: str = "mixture",
    label_key: str | None = None,
    max_epochs: int | None = None,
    batch_size: int | None = None,
    accelerator: str = "auto",
    seed: int = 0,
) -> dict[str, Any]:
    """Train ``SPOTSCAPE`` and write domains, latent representation, denoised expression, pictures, scores and model.

    Parameters
    ----------
    adata
        Sections. The results are added to it.
    out
        Folder of the results. It appears, or replaces results of an earlier run if ``force`` is given, when all files
        are complete. Other files in it are kept.
    n_domains
        Number of domains.
    layer, slice_key, spatial_key, size_factor_key, values
        As :meth:`spotscape.SPOTSCAPE.setup_anndata`.
    method
        As :func:`spotscape.tl.domains`.
    label_key
        Column of ``adata.obs`` with annotated domains, to score against; used for nothing else.
    max_epochs, batch_size, accelerator
        As :meth:`spotscape.SPOTSCAPE.train`.
    seed
        Seed of training and clustering.

    Returns
    -------
    Seconds of each step, names of the files and, with ``label_key``, scores over all spots and for each slice.
    """
    if label_key is not None and label_key not in adata.obs:
        raise KeyError(f"{label_key!r} is not in `adata.obs`; see `--label-key`.")
    if label_key is not None and adata.obs[label_key].isna().all():
        warnings.warn(
            f"No spot is annotated in `adata.obs[{label_key!r}]`; nothing is scored.", UserWarning, stacklevel=2
        )
        label_key = None
    _check_sizes(adata, slice_key)
    check_integer(n_domains, "n_domains", minimum=2, maximum=adata.n_obs - 1)
    if method == "leiden" and not all(find_spec(name) for name in ("igraph", "leidenalg")):
        raise ImportError('Leiden needs further packages; install them with `pip install "spotscape[leiden]"`.')
    seconds, start = {}, time.perf_counter()
    SPOTSCAPE.setup_anndata(
        adata,
        layer=layer,
        slice_key=slice_key,
        spatial_key=spatial_key,
        size_factor_key=size_factor_key,
        values=values,
    )
    model = SPOTSCAPE(adata, seed=seed)
    seconds["set-up"] = time.perf_counter() - start
    start = time.perf_counter()
    model.train(max_epochs=max_epochs, batch_size=batch_size, accelerator=accelerator)
    seconds["training"] = time.perf_counter() - start
    start = time.perf_counter()
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    seconds["latent representation"] = time.perf_counter() - start
    start = time.perf_counter()
    tl.domains(adata, n_domains=n_domains, method=method, seed=seed)
    seconds["domains"] = time.perf_counter() - start
    adata.layers["denoised"] = model.get_normalized_expression(library_size=_LIBRARY_SIZE, return_numpy=True)

    result: dict[str, Any] = {"seconds": {name: round(value, 2) for name, value in seconds.items()}}
    if label_key is not None:
        result["scores"] = _scores(adata, label_key, slice_key)
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    model.save(str(out / "model"), overwrite=True)
    adata.write_h5ad(out / "sections.h5ad", compression="lzf")
    _draw(adata, model, out, label_key=label_key, slice_key=slice_key, spatial_key=spatial_key)
    return result


def _check_sizes(adata: AnnData, slice_key: str) -> None:
    """Raise ``ValueError`` if a slice has too few spots for domains."""
    if slice_key not in adata.obs:
        return
    sizes = adata.obs[slice_key].astype(str).value_counts()
    if len(sizes) and sizes.iloc[-1] < _MIN_SPOTS:
        raise ValueError(
            f"Slice {sizes.index[-1]!r} has {sizes.iloc[-1]} spots, too few for domains; leave out slices with fewer "
            f"than {_MIN_SPOTS}."
        )


def _scores(adata: AnnData, label_key: str, slice_key: str) -> dict[str, dict[str, float]]:
    slices = adata.obs[slice_key].astype(str)
    subsets = {"all": np.full(adata.n_obs, True)} | {name: (slices == name).to_numpy() for name in slices.unique()}
    truth, found = adata.obs[label_key], adata.obs["spatial_domain"]
    return {
        name: {score: round(value, 3) for score, value in metrics.scores(truth[rows], found[rows]).items()}
        for name, rows in subsets.items()
        if truth[rows].notna().any()
    }


def _draw(
    adata: AnnData, model: SPOTSCAPE, out: Path, *, label_key: str | None, slice_key: str, spatial_key: str
) -> None:
    drawn = {"domains.png": "spatial_domain"} | ({} if label_key is None else {"annotation.png": label_key})
    for name, color in drawn.items():
        pl.domains(adata, color, slice_key=slice_key, spatial_key=spatial_key, show=False)
        _save(out / name)
    rows = np.unique(np.linspace(0, adata.n_obs - 1, min(adata.n_obs, _SPOTS_IN_EMBEDDING)).astype(int))
    shown = AnnData(obs=adata.obs.iloc[rows], obsm={"X_spotscape": adata.obsm["X_spotscape"][rows]})
    pl.embedding(shown, color=["spatial_domain", slice_key], show=False)
    _save(out / "embedding.png")
    pl.history(model, show=False)
    _save(out / "history.png")


def _save(path: Path) -> None:
    plt.gcf().savefig(path, dpi=150, bbox_inches="tight")
    plt.close("all")
