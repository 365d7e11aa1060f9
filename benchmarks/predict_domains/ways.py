"""Ways to find the domains of a new section, and how well they agree with its annotation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import spotscape as sps
from benchmarks.calibration.curves import bins_of
from benchmarks.common.reading import Keys, find_sections, load_section
from benchmarks.common.results import Row, kept
from benchmarks.common.training import train
from benchmarks.new_sections.questions import REP, mapped


@dataclass
class Case:
    """Spots of a reference and of a new section.

    Parameters
    ----------
    name
        Name in the table.
    adata
        All spots, with counts in ``X``, the column ``slice`` and positions.
    is_new
        Which spots are of the new section. ``(n_spots,)``.
    labels
        Annotation, ``None`` where there is none. ``(n_spots,)``.
    size_factor_key
        Argument of ``setup_anndata``.
    """

    name: str
    adata: AnnData
    is_new: NDArray[np.bool_]
    labels: NDArray[np.object_]
    size_factor_key: str | None = None


def pair_cases(files: Sequence[str], keys: Keys) -> Iterator[Case]:
    """Each of two sections as the new one."""
    section = load_section(find_sections([], [files], keys)[0])
    names = list(dict.fromkeys(section.slices))
    for reference, new in (names, names[::-1]):
        is_new = section.slices == new
        yield Case(
            f"{reference} to {new}",
            section.adata,
            is_new,
            section.labels_of_all,
            size_factor_key=section.size_factor_key,
        )


def synthetic_cases(seed: int) -> Iterator[Case]:
    """The last slice of the built-in tissue as the new one."""
    tissue = sps.datasets.synthetic_tissue(n_slices=4, seed=seed)
    tissue.X = tissue.layers["counts"].copy()
    is_new = (tissue.obs["slice"] == "slice_4").to_numpy()
    yield Case("built-in tissue", tissue, is_new, tissue.obs["domain"].to_numpy(object))


def measure(case: Case, model: str, seed: int, max_epochs: int | None, folder: Path) -> Iterator[Row]:
    """Agreement and calibration error of each way."""
    arguments = {"size_factor_key": case.size_factor_key, "settings": {"train": {"max_epochs": max_epochs}}}
    n_domains = len(pd.unique(case.labels[pd.notna(case.labels)]))

    def one_model() -> NDArray[np.floating]:
        known = case.adata[~case.is_new].copy()
        trained: Any = train(model, known, seed, **arguments)
        latent = np.empty((case.adata.n_obs, trained.get_latent_representation().shape[1]), dtype=np.float32)
        latent[~case.is_new] = trained.get_latent_representation()
        latent[case.is_new] = mapped(trained, case.adata[case.is_new].copy()).obsm[REP]
        return latent

    def both() -> NDArray[np.floating]:
        return train(model, case.adata.copy(), seed, **arguments).get_latent_representation()

    mapped_latent = kept(folder / f"{case.name} {model} {seed}.npy", one_model)
    names = "+".join(sorted(case.adata.obs["slice"].astype(str).unique()))
    joint_latent = kept(folder / f"{names} {model} {seed}.npy", both)
    yield from ways_of(case, mapped_latent, joint_latent, n_domains)


def ways_of(
    case: Case, mapped_latent: NDArray[np.floating], joint_latent: NDArray[np.floating], n_domains: int
) -> Iterator[Row]:
    """Domains of the new section in each way, compared with its annotation."""
    known, new = (AnnData(obsm={REP: mapped_latent[spots]}) for spots in (~case.is_new, case.is_new))
    sps.tl.domains(known, REP, n_domains)
    sps.tl.predict_domains(new, known)
    found = {"predicted": new.obs[["spatial_domain", "spatial_domain_confidence"]]}
    for way, latent in (
        ("clustered together", mapped_latent),
        ("trained and clustered together", joint_latent),
        ("clustered on its own", mapped_latent[case.is_new]),
    ):
        data = AnnData(obsm={REP: latent})
        sps.tl.domains(data, REP, n_domains)
        spots = case.is_new if data.n_obs == len(case.is_new) else slice(None)
        found[way] = data.obs.loc[spots, ["spatial_domain", "spatial_domain_confidence"]]
    labels = case.labels[case.is_new]
    annotated = pd.notna(labels)
    for way, domains in found.items():
        codes = domains["spatial_domain"].cat.codes.to_numpy()[annotated]
        confidence = domains["spatial_domain_confidence"].to_numpy()[annotated]
        bins = pd.DataFrame(bins_of(confidence, codes, labels[annotated].astype(str)))
        gap = (bins["n_spots"] * (bins["confidence"] - bins["right"]).abs()).sum() / bins["n_spots"].sum()
        yield {
            "way": way,
            "ari": sps.metrics.adjusted_rand_index(labels, domains["spatial_domain"]),
            "calibration_error": gap,
        }
