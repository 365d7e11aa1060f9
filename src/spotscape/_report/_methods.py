"""Methods paragraph, references and parameters of a report."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from spotscape._report._tissue import Tissue
from spotscape.model._repr import n_epochs

_PACKAGES = ("spotscape", "scvi-tools", "torch", "lightning", "anndata", "scanpy", "scikit-learn", "numpy", "bokeh")

#: Reference and address of what may be cited.
_REFERENCES = {
    "scvi": (
        "Gayoso A, Lopez R, Xing G, et al. A Python library for probabilistic analysis of single-cell omics data. "
        "Nature Biotechnology 40, 163–166 (2022).",
        "https://doi.org/10.1038/s41587-021-01206-w",
    ),
    "SPOTSCAPE": (
        "Oh Y, Lee J, Kim Y, Seo S, Lee N, Park C. Global Context-aware Representation Learning for Spatially Resolved "
        "Transcriptomics. Proceedings of the 42nd International Conference on Machine Learning (2025).",
        "https://arxiv.org/abs/2506.15698",
    ),
    "SEDR": (
        "Xu H, Fu H, Long Y, et al. Unsupervised spatially embedded deep representation of spatial transcriptomics. "
        "Genome Medicine 16, 12 (2024).",
        "https://doi.org/10.1186/s13073-024-01283-x",
    ),
    "harmony": (
        "Korsunsky I, Millard N, Fan J, et al. Fast, sensitive and accurate integration of single-cell data with "
        "Harmony. Nature Methods 16, 1289–1296 (2019).",
        "https://doi.org/10.1038/s41592-019-0619-0",
    ),
    "mclust": (
        "Scrucca L, Fop M, Murphy TB, Raftery AE. mclust 5: Clustering, Classification and Density Estimation Using "
        "Gaussian Finite Mixture Models. The R Journal 8(1), 289–317 (2016).",
        "https://doi.org/10.32614/RJ-2016-021",
    ),
    "leiden": (
        "Traag VA, Waltman L, van Eck NJ. From Louvain to Leiden: guaranteeing well-connected communities. Scientific "
        "Reports 9, 5233 (2019).",
        "https://doi.org/10.1038/s41598-019-41695-z",
    ),
    "kmeans": (
        "Lloyd SP. Least squares quantization in PCM. IEEE Transactions on Information Theory 28(2), 129–137 (1982).",
        "https://doi.org/10.1109/TIT.1982.1056489",
    ),
    "stability": (
        "Lange T, Roth V, Braun ML, Buhmann JM. Stability-based validation of clustering solutions. Neural Computation "
        "16(6), 1299–1323 (2004).",
        "https://doi.org/10.1162/089976604773717621",
    ),
    "umap": (
        "McInnes L, Healy J, Saul N, Großberger L. UMAP: Uniform Manifold Approximation and Projection. Journal of "
        "Open Source Software 3(29), 861 (2018).",
        "https://doi.org/10.21105/joss.00861",
    ),
}


class _Citations:
    """Numbers of references in the order in which they are cited."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, key: str) -> str:
        if key not in self.keys:
            self.keys.append(key)
        return f"[{self.keys.index(key) + 1}]"


def methods_text(
    tissue: Tissue, model: Any, drawn: Sequence[str], *, has_markers: bool
) -> tuple[str, list[tuple[str, str]]]:
    """Paragraph for the methods of a paper, and its references with their addresses."""
    cite = _Citations()
    n_slices = tissue.n_slices
    sections = "one tissue section" if n_slices == 1 else f"{n_slices} tissue sections"
    sentences = [
        f"{tissue.adata.n_obs:,} spots of {sections} with {tissue.adata.n_vars:,} genes were analysed with spotscape "
        f"{_version('spotscape')}, which is built on scvi-tools {cite('scvi')}."
    ]
    if model is not None:
        sentences += _of_model(model, n_slices, cite)
    sentences += _of_domains(tissue, cite)
    if has_markers:
        sentences.append(
            "Genes were ranked in each domain against all other domains by the Wilcoxon rank-sum test on "
            "log-normalised counts, with Benjamini-Hochberg adjustment. Since the domains were found in the same "
            "expression, the p values only rank the genes."
        )
    if "embedding" in drawn:
        sentences.append(f"The representation was drawn with UMAP {cite('umap')}.")
    return " ".join(sentences), [_REFERENCES[key] for key in cite.keys]


def parameters(tissue: Tissue, model: Any, seconds: Mapping[str, float]) -> dict[str, dict[str, str]]:
    """Parameters of model, set-up and domains, versions and run time, as groups of names and texts."""
    groups: dict[str, dict[str, Any]] = {}
    if model is not None:
        arguments = {
            name: value
            for name, value in model.init_params_["non_kwargs"].items()
            if name != "preprocessing" and np.ndim(value) < 2
        }
        groups["Model"] = {"class": type(model).__name__} | arguments | {"epochs": n_epochs(model.history)}
        groups["Data"] = dict(model.registry_["setup_args"])
    groups["Domains"] = {
        name: value for name, value in tissue.result.items() if not isinstance(value, Mapping) and np.ndim(value) < 2
    }
    if seconds:
        groups["Run time in seconds"] = dict(seconds)
    groups["Versions"] = {"Python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}
    return {
        group: {str(name): _text(value) for name, value in entries.items()}
        for group, entries in groups.items()
        if entries
    }


def _of_model(model: Any, n_slices: int, cite: _Citations) -> list[str]:
    sentences = []
    preprocessor = getattr(model, "preprocessor", None)
    if preprocessor is not None:
        genes = f"{len(preprocessor.selected_genes):,} variable genes were selected"
        if model.init_params_["non_kwargs"].get("features") == "components":
            genes += f", and their expression was reduced to {preprocessor.n_features} principal components"
        sentences.append(f"Counts were normalised by library size and log-transformed; {genes}.")
    pipeline = getattr(model, "pipeline", None)
    correction = getattr(getattr(pipeline, "correction", None), "name", "none")
    if n_slices > 1 and correction != "none":
        by = {"harmony": f"Harmony {cite('harmony')}", "centre": "centring", "combat": "ComBat"}.get(
            correction, correction
        )
        sentences.append(f"Differences between sections were corrected by {by}.")
    name = type(model).__name__
    epochs, seed = n_epochs(model.history), model.init_params_["non_kwargs"].get("seed")
    trained = (
        f"A representation of each spot and its neighbourhood was learnt by the model {name} "
        f"{cite(name) if name in _REFERENCES else ''}"
    ).strip()
    if epochs:
        trained += f", trained for {epochs:,} epochs"
    sentences.append(f"{trained} (seed {seed})." if seed is not None else f"{trained}.")
    return sentences


def _of_domains(tissue: Tissue, cite: _Citations) -> list[str]:
    result, n_domains = tissue.result, len(tissue.domains.categories)
    if "method" not in result:
        return [f"The spots were divided into {n_domains} domains (column {tissue.domain_key})."]
    if "leiden" == result["method"]:
        how = f"Leiden clustering {cite('leiden')} with resolution {float(result.get('resolution', 0)):.3g}"
    elif result["method"] == "kmeans":
        how = f"k-means {cite('kmeans')} with {result.get('n_init')} restarts"
    else:
        how = (
            "a Gaussian mixture with one covariance shared by all domains, as model EEE of mclust "
            f"{cite('mclust')}, started from the best of {result.get('n_init')} k-means runs"
        )
    sentences = [f"{n_domains} spatial domains were found by {how} (seed {result.get('seed')})."]
    chosen = tissue.adata.uns.get("n_domains")
    if isinstance(chosen, Mapping) and int(chosen.get("chosen", -1)) == n_domains:
        numbers = chosen["table"]["n_domains"]
        sentences.append(
            f"Their number was chosen from {numbers.min()} to {numbers.max()} by the reproducibility between parts of "
            f"the tissue {cite('stability')}."
        )
    return sentences


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _text(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float | np.floating):
        return f"{float(value):g}"
    return str(value)
