"""Alignment of slices: placement, coupling, determinism and files."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from spotscape import tl

from .conftest import rotation, two_slices


def error_of(data):
    """Median distance of the query spots from their true positions, in spacings."""
    query = (data.obs["slice"] == "b").to_numpy()
    return np.median(np.linalg.norm(data.obsm["spatial_aligned"] - data.uns["truth"], axis=1)[query])


def snapshot(adata):
    return [list(adata.obs), list(adata.obsm), list(adata.obsp), list(adata.uns)]


@pytest.mark.parametrize(
    ("transform", "matrix"),
    [
        ("rigid", rotation(137)),
        ("rigid", rotation(-60, mirrored=True)),
        ("similarity", rotation(20, scale=40.0)),
        ("similarity", rotation(200, mirrored=True, scale=0.1)),
        ("affine", rotation(100) @ [[1.1, 0.15], [0.0, 0.9]]),
    ],
)
def test_a_transformed_slice_is_placed_correctly(transform, matrix):
    data = two_slices(matrix)
    tl.align(data, "a", transform=transform)
    found = data.uns["alignment"]
    assert error_of(data) < 0.5
    np.testing.assert_allclose(found["matrix"][0, :2, :2], np.linalg.inv(matrix), atol=0.05 * found["scale"][0])
    assert found["mirrored"][0] == (np.linalg.det(matrix) < 0)
    assert found["scale"][0] == pytest.approx(1 / np.sqrt(abs(np.linalg.det(matrix))), rel=0.05)
    assert found["quality"][0] > 0.8 and found["margin"][0] > 0.2 and found["overlap"][0] > 0.95
    query = (data.obs["slice"] == "b").to_numpy()
    homogeneous = np.c_[data.obsm["spatial"][query], np.ones(query.sum())] @ found["matrix"][0].T
    np.testing.assert_allclose(data.obsm["spatial_aligned"][query], homogeneous[:, :2])
    np.testing.assert_array_equal(data.obsm["spatial_aligned"][~query], data.obsm["spatial"][~query])


def test_a_missing_part_and_a_batch_effect_do_not_matter():
    data = two_slices(rotation(75), keep=lambda places: places[:, 0] < 18, batch=np.array([0.8, 0.0, -0.5, 0.0, 0.0]))
    tl.align(data, "a")
    assert error_of(data) < 0.5
    assert data.uns["alignment"]["coupled"][0] > 0.95
    # In the other direction, a third of the spots has no counterpart.
    tl.align(data, "b")
    coupling = data.obsp["alignment"]
    there = data.uns["truth"][:540, 0]
    coupled = np.diff(coupling.indptr)[:540] > 0
    assert coupled[there < 17].all() and not coupled[there > 22].any()
    assert data.obs["alignment_similarity"][:540].isna().to_numpy().tolist() == (~coupled).tolist()


def test_other_slices_do_not_change(quick):
    data = two_slices(rotation(30))
    third = data[data.obs["slice"] == "b"].copy()
    third.obs["slice"], third.obs_names = "c", third.obs_names + "c"
    both = anndata.concat([data, third])
    tl.align(both, "a", "b")
    tl.align(data, "a")
    other = (both.obs["slice"] == "c").to_numpy()
    assert np.isnan(both.obsm["spatial_aligned"][other]).all()
    assert both.obsp["alignment"][other].nnz == 0 and both.obsp["alignment"][:, other].nnz == 0
    np.testing.assert_array_equal(both.obsm["spatial_aligned"][~other], data.obsm["spatial_aligned"])
    tl.align(both, "a")
    np.testing.assert_array_equal(both.obsm["spatial_aligned"][other], both.obsm["spatial_aligned"][540:1080])


def test_unreliable_placements_give_a_warning():
    data = two_slices(rotation(30))
    vectors = data.obsm["X_spotscape"]
    vectors[540:] = np.random.default_rng(1).permutation(vectors[540:])
    with pytest.warns(UserWarning, match=r"slice 'b' is unreliable: spots that lie on each other are not similar"):
        tl.align(data, "a")
    # Layers without a difference between left and right: mirroring changes nothing.
    data = two_slices(rotation(0))
    data.obsm["X_spotscape"] = np.c_[np.cos(data.uns["truth"][:, 1] / 8), np.sin(data.uns["truth"][:, 1] / 8)]
    with pytest.warns(UserWarning, match=r"a mirrored or rotated placement is nearly as good"):
        tl.align(data, "a")


@pytest.mark.parametrize("transform", ["rigid", None])
@pytest.mark.parametrize("coupling", ["nearest", "transport"])
def test_results_are_reproducible_and_independent_of_the_order(quick, transform, coupling):
    data = two_slices(rotation(50))
    order = np.random.default_rng(3).permutation(data.n_obs)
    shuffled = data[order].copy()
    before = snapshot(data)
    again = tl.align(data, "a", transform=transform, coupling=coupling, copy=True)
    assert snapshot(data) == before
    assert tl.align(data, "a", transform=transform, coupling=coupling) is None
    tl.align(shuffled, "a", transform=transform, coupling=coupling)
    np.testing.assert_array_equal(again.obsp["alignment"].toarray(), data.obsp["alignment"].toarray())
    np.testing.assert_allclose(
        shuffled.obsp["alignment"].toarray(), data.obsp["alignment"][order][:, order].toarray(), atol=1e-9
    )
    if transform is not None:
        np.testing.assert_allclose(shuffled.obsm["spatial_aligned"], data.obsm["spatial_aligned"][order], atol=1e-9)


def test_the_result_can_be_written(quick, tmp_path):
    data = two_slices(rotation(50))
    del data.uns["truth"]
    tl.align(data, "a")
    tl.align(data, "a", transform=None, key_added="alone")
    data.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert (read.obsp["alignment"] != data.obsp["alignment"]).nnz == 0
    assert read.uns["alone"]["transform"] == "none" and "matrix" not in read.uns["alone"]


@pytest.mark.parametrize("transform", ["rigid", None])
@pytest.mark.parametrize("coupling", ["nearest", "transport"])
def test_rows_sum_to_one_and_point_to_the_right_place(quick, transform, coupling):
    # Without positions, noise in the representation decides between adjacent spots.
    data = two_slices(rotation(110), noise=0.15 if transform else 0.05)
    tl.align(data, "a", transform=transform, coupling=coupling, n_neighbors=4)
    joined = data.obsp["alignment"]
    query = (data.obs["slice"] == "b").to_numpy()
    assert sparse.issparse(joined) and joined[~query].nnz == 0 and joined[:, query].nnz == 0
    sums, n_entries = np.asarray(joined.sum(axis=1)).ravel()[query], np.diff(joined.indptr)[query]
    np.testing.assert_allclose(sums[n_entries > 0], 1.0)
    assert n_entries.max() == 4 and (n_entries > 0).mean() == data.uns["alignment"]["coupled"][0]
    distance = np.linalg.norm(joined @ data.uns["truth"] - data.uns["truth"], axis=1)[query]
    assert np.median(distance) < 1.0
    assert data.obs["alignment_similarity"][query].max() <= 1 + 1e-9


def test_registration_of_a_random_subset(monkeypatch):
    monkeypatch.setattr("spotscape.tl.alignment._registration.N_SPOTS", 250)
    data = two_slices(rotation(140))
    tl.align(data, "a")
    assert error_of(data) < 0.5
