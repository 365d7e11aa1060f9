import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spotscape import tl
from spotscape._slices import need_slice_key
from spotscape.tl.alignment._coupling import best_of_rows, overall_evidence, transport, window_evidence
from spotscape.tl.alignment._registration import Judge, Spots, Tissue, improve, register
from spotscape.tl.alignment._transformation import Transformation, changed, from_two_pairs


def rotation(degrees, *, mirrored=False, scale=1.0):
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * matrix @ np.diag([1.0, -1.0 if mirrored else 1.0])


def landscape(positions, rng, noise):
    """A representation that changes smoothly and differs everywhere, with noise."""
    x, y = positions.T / 10
    smooth = np.c_[np.sin(x), np.cos(1.3 * x + 0.4 * y), np.sin(0.9 * y), np.cos(0.5 * x - 1.1 * y), np.sin(x + y)]
    return smooth + noise * rng.normal(size=smooth.shape)


def two_slices(
    matrix, shift=(500.0, -300.0), *, keep=lambda positions: np.ones(len(positions), bool), batch=0.0, noise=0.15
):
    """Reference ``a`` and query ``b``: the same tissue, seen anew after a transformation, perhaps in part."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(27.0), np.arange(20.0))
    places = np.c_[x.ravel() + 0.5 * (y.ravel() % 2), y.ravel()]
    again = places[keep(places)]
    slices = np.repeat(["a", "b"], [len(places), len(again)])
    data = anndata.AnnData(obs=pd.DataFrame({"slice": slices}, index=[f"spot{i}" for i in range(len(slices))]))
    data.obs["slice"] = data.obs["slice"].astype("category")
    data.obsm["X_spotscape"] = np.r_[landscape(places, rng, noise), landscape(again, rng, noise) + batch]
    data.obsm["spatial"] = np.r_[places, again @ np.asarray(matrix).T + shift]
    data.uns["truth"] = np.r_[places, again]
    return data


def error_of(data):
    """Median distance of the query's spots from where they truly are, in spacings."""
    query = (data.obs["slice"] == "b").to_numpy()
    return np.median(np.linalg.norm(data.obsm["spatial_aligned"] - data.uns["truth"], axis=1)[query])


@pytest.fixture(autouse=True)
def fewer_proposals(monkeypatch):
    """The tissue of the tests looks alike nowhere, so that most proposals are good."""
    monkeypatch.setattr("spotscape.tl.alignment._registration.N_PROPOSALS", 50)


@pytest.fixture
def quick(monkeypatch):
    """Improve less, where it does not matter how well a slice is placed."""
    monkeypatch.setattr("spotscape.tl.alignment._registration.N_ROUNDS", 1)


def snapshot(adata):
    return [list(adata.obs), list(adata.obsm), list(adata.obsp), list(adata.uns)]


# ------------------------------------------------------------------------------------------------ placement


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
def test_a_moved_slice_is_found_again(transform, matrix):
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
    # The other way round, a third of the spots has no counterpart.
    tl.align(data, "b")
    coupling = data.obsp["alignment"]
    there = data.uns["truth"][:540, 0]
    coupled = np.diff(coupling.indptr)[:540] > 0
    assert coupled[there < 17].all() and not coupled[there > 22].any()
    assert data.obs["alignment_similarity"][:540].isna().to_numpy().tolist() == (~coupled).tolist()


def test_other_slices_are_left_alone(quick):
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


def test_a_placement_without_ground_is_warned_of():
    data = two_slices(rotation(30))
    vectors = data.obsm["X_spotscape"]
    vectors[540:] = np.random.default_rng(1).permutation(vectors[540:])
    with pytest.warns(
        UserWarning, match=r"slice 'b' should not be trusted: spots that lie on each other are not alike"
    ):
        tl.align(data, "a")
    # Layers that do not tell left from right: mirroring them changes nothing.
    data = two_slices(rotation(0))
    data.obsm["X_spotscape"] = np.c_[np.cos(data.uns["truth"][:, 1] / 8), np.sin(data.uns["truth"][:, 1] / 8)]
    with pytest.warns(UserWarning, match=r"a mirrored or turned placement is nearly as good"):
        tl.align(data, "a")


@pytest.mark.parametrize("transform", ["rigid", None])
@pytest.mark.parametrize("coupling", ["nearest", "transport"])
def test_permuted_spots_and_a_second_run_give_the_same(quick, transform, coupling):
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


def test_the_answer_can_be_written(quick, tmp_path):
    data = two_slices(rotation(50))
    del data.uns["truth"]
    tl.align(data, "a")
    tl.align(data, "a", transform=None, key_added="alone")
    data.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert (read.obsp["alignment"] != data.obsp["alignment"]).nnz == 0
    assert read.uns["alone"]["transform"] == "none" and "matrix" not in read.uns["alone"]


# ------------------------------------------------------------------------------------------------- coupling


@pytest.mark.parametrize("transform", ["rigid", None])
@pytest.mark.parametrize("coupling", ["nearest", "transport"])
def test_rows_sum_to_one_and_point_to_the_right_place(quick, transform, coupling):
    # Without positions the noise of the representation decides among spots that lie beside each other.
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


def spots(rng, n_spots, n_dimensions=3):
    """Spots as the coupling takes them, with vectors of length one."""
    vectors = rng.normal(size=(n_spots, n_dimensions))
    return Spots(rng.uniform(0, 6, (n_spots, 2)), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 0.5)


def test_evidence_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    query, reference = spots(rng, 12), spots(rng, 40)
    moved = query.positions + 2.0
    found = window_evidence(query, reference, moved, 1.0, 0.3).toarray()
    everywhere = overall_evidence(query, reference, 0.3, 5).toarray()
    for i in range(12):
        cosines = np.array([query.vectors[i] @ vector for vector in reference.vectors])
        distances = np.array([np.linalg.norm(moved[i] - place) for place in reference.positions])
        near = np.exp(-(distances**2) / 2 / 1.0**2 + (cosines - cosines.max()) / 0.3)
        np.testing.assert_allclose(found[i], near if distances.min() <= 1.0 else 0 * near, atol=1e-12)
        alike = np.exp((cosines - cosines.max()) / 0.3)
        alike[np.argsort(-cosines)[5:]] = 0
        np.testing.assert_allclose(everywhere[i], alike, atol=1e-12)
    assert 0 < (found.sum(axis=1) == 0).sum() < 12


def test_best_entries_of_each_row_are_kept():
    rng = np.random.default_rng(0)
    dense = rng.uniform(size=(30, 20)) * (rng.uniform(size=(30, 20)) < 0.3)
    dense[4] = 0
    expected = np.zeros_like(dense)
    for i, row in enumerate(dense):
        kept = [j for j in sorted(range(20), key=lambda j: -row[j])[:3] if row[j] > 0]
        expected[i, kept] = row[kept] / row[kept].sum() if kept else 0
    np.testing.assert_allclose(best_of_rows(sparse.csr_matrix(dense), 3).toarray(), expected)


def test_transport_minimises_its_objective():
    rng = np.random.default_rng(0)
    kernel = rng.uniform(0.05, 1, (6, 5)) * (rng.uniform(size=(6, 5)) < 0.8)
    plan = transport(sparse.csr_matrix(kernel)).toarray()

    def divergence(values, others):
        ratio = np.log(np.where(values > 0, values, 1) / np.where(others > 0, others, 1))
        return (np.where(values > 0, values * ratio, 0) - values + others).sum()

    def objective(values):
        rows, columns = values.sum(axis=1), values.sum(axis=0)
        return divergence(values, kernel) + divergence(rows, np.full(6, 1 / 6)) + divergence(columns, np.full(5, 1 / 5))

    least = objective(plan)
    assert (plan[kernel == 0] == 0).all()
    for _ in range(200):
        assert objective(plan * np.exp(0.05 * rng.normal(size=plan.shape))) > least


# ------------------------------------------------------------------------------------------- transformations


@pytest.mark.parametrize("mirrored", [False, True])
def test_two_pairs_make_a_transformation(mirrored):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2, 2))
    matrix = rotation(70, mirrored=mirrored, scale=2.0)
    targets = points @ matrix.T + [3.0, 4.0]
    scaled = from_two_pairs(points, targets, scaled=True, mirrored=mirrored)
    np.testing.assert_allclose(scaled.matrix, matrix, atol=1e-12)
    np.testing.assert_allclose(scaled.shift, [3.0, 4.0], atol=1e-12)
    plain = from_two_pairs(points, targets, scaled=False, mirrored=mirrored)
    np.testing.assert_allclose(plain.matrix, matrix / 2, atol=1e-12)
    np.testing.assert_allclose(plain(points).mean(axis=0), targets.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
def test_changes_of_a_transformation(mirrored):
    rng = np.random.default_rng(0)
    points, centre = rng.normal(size=(9, 2)), np.array([5.0, 1.0])
    start = Transformation(rotation(25, mirrored=mirrored, scale=3.0), np.array([1.0, 2.0]))
    np.testing.assert_allclose(start.inverse(start(points)), points, atol=1e-12)
    np.testing.assert_allclose(changed(start, np.zeros(3), centre)(points), start(points), atol=1e-12)
    rigid = changed(start, np.array([0.5, -1.0, 0.3]), centre)
    assert rigid.is_mirrored == mirrored and rigid.scale == pytest.approx(3.0)
    np.testing.assert_allclose(rigid(centre[None]), start(centre[None]) + [0.5, -1.0])
    np.testing.assert_allclose(rigid.matrix, start.matrix @ rotation(np.degrees(0.3)), atol=1e-12)
    assert changed(start, np.array([0, 0, 0.3, np.log(2)]), centre).scale == pytest.approx(6.0)
    stretched = np.linalg.svd(changed(start, np.array([0, 0, 0.3, 0, 0.3, 0.4]), centre).matrix)[1]
    np.testing.assert_allclose(stretched, [3 * 1.5, 3 * 0.5])


def test_registration_of_many_spots_draws_some(monkeypatch):
    monkeypatch.setattr("spotscape.tl.alignment._registration.N_SPOTS", 250)
    data = two_slices(rotation(140))
    tl.align(data, "a")
    assert error_of(data) < 0.5


def test_the_tissue_fades_at_its_edge_and_interpolates():
    x, y = np.meshgrid(np.arange(8.0), np.arange(7.0))
    places = np.c_[x.ravel(), y.ravel()]
    tissue = Tissue(places, 1.0)
    asked = np.array([[3.5, 3.2], [0.0, 3.0], [-0.5, 3.0], [-1.0, 3.0], [4.1, 2.0]])
    ones = tissue.interpolate(np.ones((5, len(places))), asked)
    np.testing.assert_allclose(ones, [1, 1, 0.5, 0, 1], atol=0.05)
    np.testing.assert_allclose(tissue.interpolate(np.tile(places[:, 0], (5, 1)), asked)[[0, 4]], [3.5, 4.1], atol=0.1)
    assert tissue.has(asked).tolist() == [True, True, True, True, True]
    assert not tissue.has(np.array([[-1.1, 3.0]]))[0]


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_the_score_is_that_of_the_definition(scale):
    rng = np.random.default_rng(0)
    query, reference = (Spots(rng.uniform(0, 6, (n, 2)), rng.normal(size=(n, 3)), 0.7) for n in (30, 40))
    query = query._replace(positions=query.positions / scale, spacing=0.7 / scale)
    centres = rng.normal(size=3), rng.normal(size=3)
    placement = Transformation(rotation(20, scale=scale), np.array([1.0, -0.5]))
    cosines = np.array(
        [
            [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in reference.vectors - centres[1]]
            for a in query.vectors - centres[0]
        ]
    )
    gains = cosines - cosines.mean()
    there, here = Tissue(reference.positions, 0.7), Tissue(query.positions, 0.7 / scale)
    back = (reference.positions - [1.0, -0.5]) @ np.linalg.inv(placement.matrix).T
    forth = [there.interpolate(gains[[i]], placement(query.positions[[i]]))[0] for i in range(30)]
    forth_back = [here.interpolate(gains[:, [j]].T, back[[j]])[0] for j in range(40)]
    judge = Judge(query, reference, centres, scale)
    assert judge.score(placement) == pytest.approx(np.mean(forth) + np.mean(forth_back))
    better = improve(placement, judge, "similarity")
    assert judge.score(better) > judge.score(placement)
    on = np.linalg.norm(placement(query.positions)[:, None] - reference.positions, axis=2).min(axis=1) <= 0.7
    np.testing.assert_allclose(judge.centres(placement)[0], query.vectors[on].mean(axis=0))


def test_points_that_coincide_have_a_registration():
    same = Spots(np.zeros((12, 2)), np.tile([[1.0, 0.0]], (12, 1)), 1.0)
    found = register(same, same, transform="rigid", seed=0)
    assert np.isfinite(found.transformation.matrix).all() and found.quality <= 1


def test_the_slice_key_is_that_of_the_graph():
    data = two_slices(rotation(30))
    data.obs["section"] = data.obs.pop("slice")
    data.uns["spatial_neighbors"] = {"params": {"slice_key": "section"}}
    assert need_slice_key(data, None) == "section"
