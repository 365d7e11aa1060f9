"""What the functions write into an AnnData can be read by everyone, and goes when the answer is replaced."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import anndata
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
    sps.tl.choose_n_domains(adata, "Z", range(2, 8), n_splits=2, n_init=1)
    sps.tl.transfer_labels(adata, "domain", use_rep="Z", reference="slice_1", query="slice_2", slice_key="slice")
    sps.tl.harmony(adata, "Z", slice_key="slice")
    sps.tl.markers(adata, "domain")
    adata.obs["side"] = np.where(adata.obsm["Z"][:, 0] > 0, "left", "right")
    sps.tl.differential_expression(adata, replicate="slice", domain_key="side", reference_domain="rest", min_counts=0)
    sps.tl.enrichment(adata, {"first": adata.var_names[:9]})
    sps.tl.composition(adata)
    sps.tl.gene_correlations(adata, adata.var_names[:3], denoised=None)
    sps.tl.choose_slice_correction(adata, "slice", n_splits=1)
    sps.tl.align(adata, reference="slice_1", slice_key="slice", use_rep="Z", transform=None)
    image = np.random.default_rng(0).integers(0, 150, (400, 400, 3), dtype=np.uint8)
    images = dict.fromkeys(("slice_1", "slice_2"), image)
    sps.pp.image_features(adata, image=images, scale_factor=0.2, slice_key="slice")
    sps.tl.predict_domains(adata, adata, reference_key="levels", key_added="predicted")
    if find_spec("igraph"):
        sps.tl.trajectory(adata, "1", use_rep="spatial")
        sps.tl.trajectory(adata, "1", use_rep="spatial", per_slice=True, key_added="of_slices")
    sps.pl.domains(adata, show=False)


@pytest.mark.filterwarnings("ignore:Writing zarr v2", "ignore:zarr v3 autosharding")
def test_nothing_that_is_stored_is_none(adata, tmp_path):
    write_everything(adata)
    assert [path for path, value in entries(adata.uns) if value is None] == []
    adata.write_h5ad(tmp_path / "all.h5ad")
    adata.write_zarr(tmp_path / "all.zarr")
    for stored in (anndata.read_h5ad(tmp_path / "all.h5ad"), anndata.read_zarr(tmp_path / "all.zarr")):
        assert dict(entries(stored.uns)).keys() == dict(entries(adata.uns)).keys()


READ = """
import sys
import anndata
assert anndata.__version__.startswith("0.10."), anndata.__version__
adata = anndata.read_h5ad(sys.argv[1])
print(adata.n_obs, len(adata.uns), sorted(adata.obsm))
"""


@pytest.mark.slow
def test_what_is_stored_is_read_by_an_older_anndata(adata, tmp_path):
    """AnnData before 0.12 and the packages for R refuse a whole file for one entry that they do not know."""
    write_everything(adata)
    adata.write_h5ad(tmp_path / "all.h5ad")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "old"], check=True)
    python = tmp_path / "old" / "bin" / "python"
    packages = ["anndata==0.10.9", "numpy<2", "pandas<2.3", "scipy<1.14", "zarr<3"]
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    if subprocess.run(install).returncode:
        pytest.skip("anndata 0.10 cannot be installed here")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-W", "ignore", "-c", READ, tmp_path / "all.h5ad"]
    read = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert read.returncode == 0, read.stderr
    assert read.stdout.startswith(f"160 {len(adata.uns)} ")


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
