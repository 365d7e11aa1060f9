"""Measured what SPOTSCAPE finds in an embedding of ``obsm`` instead of expression.

    python -m benchmarks.cross_sample.embedding --sections A=A1.h5ad,A2.h5ad --key image_features

Each group of files is one model of all its slices. Printed is a table of the mean over seeds of the ARI of
``tl.domains`` in annotated spots, with as many domains as are annotated, and, of several slices, of how well they mix
among the 30 nearest neighbours (1 as by chance). Files without annotation count in the mixing alone.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.preprocessing import StandardScaler

import spotscape as sps
from benchmarks.common.readouts import DEFAULT, find_domains
from spotscape.preprocessing._agreement import slice_mixing

_UNKNOWN = {"undetermined", "nan", ""}


def read(files: Sequence[str], key: str) -> AnnData:
    """Join the expression of sections on their common genes, with the embedding of each."""
    sections = [anndata.read_h5ad(file) for file in files]
    joined = anndata.concat(sections, join="inner", label="section", keys=[str(i) for i in range(len(files))])
    joined.obs_names_make_unique()
    if key not in joined.obsm:
        raise KeyError(f"`--key` is {key!r}, which is not in `obsm` of all files.")
    return joined


def represent(adata: AnnData, seed: int, *, key: str | None, correction: str) -> np.ndarray:
    """Latent representation of SPOTSCAPE with its defaults, of expression where there is no ``key``."""
    sps.SPOTSCAPE.setup_anndata(adata, slice_key="section", features_key=key)
    model = sps.SPOTSCAPE(adata, slice_correction=correction, seed=seed)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


def methods(key: str, n_slices: int) -> dict[str, Callable[[AnnData, int], np.ndarray]]:
    """Function that represents the spots for a seed, by the name of the row."""
    result: dict[str, Callable[[AnnData, int], np.ndarray]] = {
        f"`{key}` itself, standardised": lambda adata, _: StandardScaler().fit_transform(adata.obsm[key])
    }
    for correction in ("none", "centre", "harmony") if n_slices > 1 else ("none",):
        for name, given in (("expression", None), (f"`{key}`", key)):
            result[f"SPOTSCAPE of {name}, correction {correction}"] = (
                lambda adata, seed, given=given, correction=correction: represent(
                    adata, seed, key=given, correction=correction
                )
            )
    return result


def scores(adata: AnnData, latent: np.ndarray, label_key: str, seed: int) -> dict[str, float]:
    """ARI in annotated spots, and mixing of several slices."""
    labels, slices = adata.obs[label_key].astype(str), adata.obs["section"].to_numpy(str)
    known = ~labels.isin(_UNKNOWN).to_numpy()
    result = {}
    if known.any():
        domains = find_domains(latent, labels[known].nunique(), readout=DEFAULT, seed=seed)
        result["ARI"] = sps.metrics.scores(labels[known], pd.Series(domains[known], labels[known].index))["ARI"]
    if len(np.unique(slices)) > 1:
        result["mixing"] = slice_mixing(latent, slices)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", required=True, metavar="NAME=FILE,FILE", help="sections of one model")
    parser.add_argument("--key", required=True, help="key of obsm with the embedding")
    parser.add_argument("--label-key", default="domain", help="column of the annotation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", module="anndata")
    print("| sections | features | ARI | mixing of slices |\n|---|---|---|---|", flush=True)
    for name, files in (text.split("=", 1) for text in options.sections):
        paths = files.split(",")
        for row, make in methods(options.key, len(paths)).items():
            found = []
            for seed in options.seeds:
                adata = read(paths, options.key)
                found.append(scores(adata, make(adata, seed), options.label_key, seed))
            table = pd.DataFrame(found)
            cells = [
                f"{table[score].mean():.2f} ± {table[score].std():.2f}" if score in table else ""
                for score in ("ARI", "mixing")
            ]
            print(f"| {name} | {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
