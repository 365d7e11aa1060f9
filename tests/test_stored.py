"""What the functions write into an AnnData can be read by everyone, and goes when the answer is replaced."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import spotscape as sps


def entries(values: Mapping[str, Any], path: str = "uns") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from entries(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", value


@pytest.fixture
def adata():
    data = sps.datasets.synthetic_tissue(n_slices=2, n_spots=80, n_genes=40, seed=0)
    data.obsm["Z"] = np.random.default_rng(0).normal(size=(160, 4)) + 9 * np.eye(4)[np.arange(160) % 4]
    return data


def write_everything(adata):
    """Call the functions that store their arguments, with their defaults."""
    sps.pp.spatial_neighbors(adata)
    sps.SPOTSCAPE.setup_anndata(adata, slice_key="slice", graph_key="model")
    sps.tl.domains(adata, "Z", 4, n_init=3)
    sps.tl.domains(adata, "Z", [2, 4], n_init=3, key_added="levels")
    sps.tl.domains(adata, "Z", 4, method="kmeans", n_init=3, key_added="kmeans")
    sps.tl.choose_n_domains(adata, "Z", range(2, 5), n_splits=2, n_init=1)
    sps.tl.transfer_labels(adata, "domain", use_rep="Z", reference="slice_1", query="slice_2", slice_key="slice")
    sps.tl.harmony(adata, "Z", slice_key="slice")
    sps.tl.predict_domains(adata, adata, reference_key="levels", key_added="predicted")
    if find_spec("igraph"):
        sps.tl.trajectory(adata, "1", use_rep="spatial")
        sps.tl.trajectory(adata, "1", use_rep="spatial", per_slice=True, key_added="of_slices")
    sps.pl.domains(adata, show=False)


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data")
def test_nothing_that_is_stored_is_none(adata, tmp_path):
    write_everything(adata)
    assert [path for path, value in entries(adata.uns) if value is None] == []
    adata.write_h5ad(tmp_path / "all.h5ad")
    adata.write_zarr(tmp_path / "all.zarr")


def test_colours_of_another_number_of_domains_go(adata):
    sps.tl.domains(adata, "Z", 4, n_init=3)
    sps.pl.domains(adata, show=False)
    colors = list(adata.uns["spatial_domain_colors"])
    sps.tl.domains(adata, "Z", 4, n_init=3, seed=1)
    # As many domains as before keep their colours.
    assert list(adata.uns["spatial_domain_colors"]) == colors
    sps.tl.domains(adata, "Z", 3, n_init=3)
    assert "spatial_domain_colors" not in adata.uns


def test_colours_of_levels_go_with_the_levels(adata):
    sps.tl.domains(adata, "Z", [2, 4], n_init=3)
    sps.pl.domains(adata, color="spatial_domain_2", show=False)
    sps.tl.domains(adata, "Z", 4, n_init=3)
    assert not [name for name in adata.uns if name.startswith("spatial_domain_2")]


def test_colours_of_transferred_labels_are_those_of_the_labels(adata):
    def transfer():
        sps.tl.transfer_labels(adata, "domain", use_rep="Z", reference="slice_1", query="slice_2", slice_key="slice")

    transfer()
    adata.uns["domain_transferred_colors"] = ["#000000"]
    transfer()
    assert "domain_transferred_colors" not in adata.uns
