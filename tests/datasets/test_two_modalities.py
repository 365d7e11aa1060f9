"""The simulation follows its docstring: each modality separates only half of the kinds."""

import numpy as np
import pytest

from spotscape.datasets import synthetic_modalities


def separation(features, groups, kinds):
    """Largest difference of the means of two kinds within a group, and smallest between groups, in standard errors."""
    means, errors = {}, {}
    for kind in np.unique(kinds):
        of_kind = features[kinds == kind]
        means[kind], errors[kind] = of_kind.mean(0), of_kind.std(0) / np.sqrt(len(of_kind))
    group_of = dict(zip(kinds, groups, strict=True))
    within: list[float] = []
    between: list[float] = []
    for first in means:
        for second in means:
            if first < second:
                score = np.abs(means[first] - means[second]) / np.hypot(errors[first], errors[second])
                (within if group_of[first] == group_of[second] else between).append(np.sqrt((score**2).mean()))
    return max(within), min(between)


def test_each_modality_separates_its_groups_only():
    adata = synthetic_modalities(n_slices=1, n_spots=6000, batch_effect="none", seed=0)
    kinds = adata.obs["kind"].cat.codes.to_numpy()
    counts = adata.X.toarray()
    shares = np.sqrt(counts / counts.sum(1, keepdims=True))
    for features, key in ((shares, "rna_group"), (adata.obsm["X_image"], "image_group")):
        within, between = separation(features, adata.obs[key].cat.codes.to_numpy(), kinds)
        assert within < 2 < 4 < between
    # Together the groups separate all kinds.
    assert len(adata.obs[["rna_group", "image_group"]].drop_duplicates()) == 8
    assert len(adata.obs[["rna_group", "image_group", "kind"]].drop_duplicates()) == 8


def test_batch_effects_shift_slices_and_nothing_else():
    none, strong = (synthetic_modalities(n_spots=400, batch_effect=b, seed=1) for b in ("none", "strong"))
    np.testing.assert_array_equal(none.obs["kind"], strong.obs["kind"])
    np.testing.assert_array_equal(none.obsm["spatial"], strong.obsm["spatial"])

    def between(adata):
        means = [
            adata.obsm["X_image"][(adata.obs["slice"] == s).to_numpy()].mean(0) for s in adata.obs["slice"].unique()
        ]
        return np.std(means, axis=0).mean()

    assert between(strong) > 5 * between(none)


def test_more_slices_and_missing_images_change_no_other_slice():
    few, more = synthetic_modalities(2, 100, seed=2), synthetic_modalities(3, 100, seed=2, slices_without_image=[1])
    assert (few.X != more.X[:200]).nnz == 0
    np.testing.assert_array_equal(few.obsm["X_image"][:100], more.obsm["X_image"][:100])
    assert np.isnan(more.obsm["X_image"][100:200]).all() and np.isfinite(more.obsm["X_image"][200:]).all()
    assert few.layers["counts"] is not few.X and few.X.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_kinds": 7}, ValueError, "even number"),
        ({"n_kinds": 2}, ValueError, "`n_kinds` is 2"),
        ({"n_spots": 20}, ValueError, "`n_spots` is 20"),
        ({"batch_effect": "huge"}, ValueError, "`batch_effect` is 'huge'"),
        ({"slices_without_image": 2}, TypeError, "list of slice indices"),
        ({"slices_without_image": [4]}, ValueError, "`slices_without_image` is 4"),
        ({"positions": "grid"}, ValueError, "`positions` is 'grid'"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        synthetic_modalities(**arguments)
