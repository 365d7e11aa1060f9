"""The alignment benchmark, on a synthetic tissue."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import spotscape as sps
from benchmarks.alignment import cases, floors, tables, ways
from benchmarks.alignment.__main__ import main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=60, n_domains=4)
    adata.X = adata.layers["counts"].astype(np.float32)
    adata.obs["total_umi_full"] = 2.0 * np.asarray(adata.X.sum(axis=1)).ravel()
    adata.obs["domain"] = adata.obs["domain"].astype(object)
    adata.obs.iloc[:5, adata.obs.columns.get_loc("domain")] = None
    folder = tmp_path_factory.mktemp("slices")
    paths = []
    for name in ("slice_1", "slice_2"):
        one = adata[adata.obs["slice"] == name].copy()
        one.obs["slice"] = one.obs["slice"].astype(str)
        paths.append(folder / f"{name}.h5ad")
        one.write_h5ad(paths[-1])
    return paths


@pytest.fixture
def query(files):
    return anndata.read_h5ad(files[1])


def test_alterations_do_what_they_say(query):
    rng = np.random.default_rng(0)
    turned = cases.rotate(query, rng).obsm["spatial"]
    before, after = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (query.obsm["spatial"], turned))
    np.testing.assert_allclose(before, after, atol=1e-6)
    cropped = cases.crop(query, rng)
    # Spots of one column of the lattice stay or go together.
    assert cropped.n_obs == pytest.approx(query.n_obs * 2 / 3, abs=np.sqrt(query.n_obs))
    assert cropped.obsm["spatial"][:, 0].max() < query.obsm["spatial"][:, 0].max()
    thinned = cases.thin(query, rng)
    assert (query.X - thinned.X).min() >= 0
    assert thinned.X.sum() == pytest.approx(query.X.sum() / 4, rel=0.05)
    assert thinned.obs["total_umi_full"].sum() == pytest.approx(query.obs["total_umi_full"].sum() / 4, rel=0.05)
    assert cases.halve_panel(query, rng).n_vars == query.n_vars // 2
    merged = cases.merge(query, rng)
    assert merged.n_obs == query.n_obs // 4 and merged.X.sum() == pytest.approx(query.X.sum())
    centre = query.obsm["spatial"].mean(axis=0)
    assert np.linalg.norm(merged.obsm["spatial"].mean(axis=0) - centre) < 0.1 * np.ptp(query.obsm["spatial"])


def test_labels_are_transferred_by_weight():
    coupling = sparse.csr_matrix([[0.6, 0.2, 0.2, 0], [0, 0.5, 0.1, 0.4], [0, 0, 0, 0], [0, 0, 0, 1.0]])
    labels = np.array(["a", "b", "b", None], dtype=object)
    assert ways.transfer_labels(coupling, labels).tolist() == ["a", "b", None, None]


def test_rigid_fit_turns_a_shape_back():
    rng = np.random.default_rng(0)
    shape = rng.uniform(size=(300, 2)) * [3, 1]
    shape = shape[(shape[:, 0] < 1) | (shape[:, 1] < 0.4)]
    angle = np.deg2rad(100)
    turned = shape @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).T + 7
    found = floors.match_positions(shape, turned)
    assert (found == np.arange(len(shape))).mean() > 0.95
    assert (floors.match_positions(shape, turned, n_starts=1) == np.arange(len(shape))).mean() < 0.5


# One training step and a few dozen spots tell a placement hardly from chance.
@pytest.mark.filterwarnings("ignore:The placement of slice")
def test_run_and_resume(files, tmp_path, monkeypatch):
    rng, trained = np.random.default_rng(0), []

    def train(pair, seed, name):
        trained.append(name)
        return rng.normal(size=(pair.n_obs, 5))

    monkeypatch.setattr(ways, "represent", train)
    monkeypatch.setattr(floors, "N_STEPS", 3)
    monkeypatch.setattr("spotscape.tl.alignment._registration.N_PROPOSALS", 20)
    arguments = [*map(str, files), "--cases", "plain", "missing third", "--out", str(tmp_path), "--seeds"]
    with pytest.warns(UserWarning, match="is unreliable"):
        assert main([*arguments, "1"]) == 0
    first = pd.read_csv(tmp_path / "results.csv")
    assert list(first.columns) == list(tables.COLUMNS)
    n_rows = len(ways.WAYS) + len(ways.FLOORS)
    assert first.groupby(["case", "query"]).size().tolist() == [n_rows, n_rows, n_rows]
    assert first["ltari"].between(-1, 1).all()
    assert (tmp_path / "summary.md").read_text().count("\n") == 2 + 3
    assert (tmp_path / "alignment.png").stat().st_size > 10_000

    # Rows that are there are kept; only those of the second seed are new.
    main([*arguments, "2"])
    second = pd.read_csv(tmp_path / "results.csv")
    pd.testing.assert_frame_equal(second[: len(first)], first)
    assert second[len(first) :].groupby(["case", "query"]).size().tolist() == [len(ways.WAYS)] * 3
    assert (second["seed"][len(first) :] == 1).all() and not second[list(ways.KEYS)].duplicated().any()
    assert trained == ["SPOTSCAPE"] * 4

    # Another model adds its own rows beside them, and takes no representation of the first.
    main([*arguments, "1", "--model", "SEDR"])
    third = pd.read_csv(tmp_path / "results.csv")
    pd.testing.assert_frame_equal(third[: len(second)], second)
    assert set(third["way"][len(second) :]) == {f"SEDR, {way}" for way in ways.WAYS}
    assert trained[4:] == ["SEDR"] * 2
    header, _, row, *_ = (tmp_path / "summary.md").read_text().splitlines()
    assert "| tl.align |" in header and "| SEDR, tl.align |" in header and "| 2, 1 |" in row
