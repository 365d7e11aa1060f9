"""Batches against the whole graph, by dense matrix powers."""

import numpy as np
import pytest
from scipy import sparse

from spotscape import SPOTSCAPE
from spotscape._constants import BATCH_KEYS
from spotscape.data import GraphDataset, SpatialGraphField, SpotDataLoader, SpotDataSplitter
from spotscape.data._fields import registered_coordinates, registered_slices
from spotscape.datasets import synthetic_tissue
from spotscape.graph import NeighbourhoodSampler, normalize_adjacency, read_graph
from spotscape.preprocessing import Features


@pytest.fixture(scope="module")
def manager():
    # A manager does not keep its data alive.
    adata = synthetic_tissue(n_slices=2, n_spots=60, n_genes=40, n_domains=3, seed=0)
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice", n_neighbors=3)
    yield SPOTSCAPE._get_most_recent_anndata_manager(adata)
    del adata


@pytest.fixture(scope="module")
def features(manager):
    return np.random.default_rng(0).normal(size=(manager.adata.n_obs, 5)).astype(np.float32)


def spots(manager, features, n_hops):
    whole = Features(features, features, np.ones(manager.adata.n_obs, dtype=bool))
    return GraphDataset(
        whole, registered_slices(manager)[0], registered_coordinates(manager), read_graph(manager.adata), n_hops
    )


@pytest.mark.parametrize("n_hops", [1, 2, 3])
def test_neighbourhood_is_everything_within_the_hops(manager, n_hops):
    adjacency = normalize_adjacency(read_graph(manager.adata))
    sampler = NeighbourhoodSampler(adjacency, n_hops)
    reach = (adjacency.toarray() > 0).astype(int)
    for seeds in (np.array([7]), np.array([50, 3, 110]), np.arange(0, 120, 2)):
        nodes, within, local = sampler(seeds)
        np.testing.assert_array_equal(nodes[: len(seeds)], seeds)
        for hop in range(n_hops + 1):
            expected = np.flatnonzero(np.linalg.matrix_power(reach, hop)[seeds].any(axis=0))
            np.testing.assert_array_equal(np.sort(nodes[: within[hop]]), expected)
        np.testing.assert_array_equal(local.toarray(), adjacency.toarray()[np.ix_(nodes[: within[-2]], nodes)])


def test_one_batch_is_the_full_graph_and_is_made_once(manager, features):
    loader = SpotDataLoader(spots(manager, features, 2))
    (first,), (second,) = list(loader), list(loader)
    assert all(first[key] is second[key] for key in first) and len(loader) == 1
    np.testing.assert_array_equal(first[BATCH_KEYS.FEATURES], features)
    np.testing.assert_array_equal(first[BATCH_KEYS.NODES_WITHIN_HOP], [120] * 3)
    expected = normalize_adjacency(read_graph(manager.adata)).toarray()
    np.testing.assert_array_equal(first[BATCH_KEYS.ADJACENCY].to_dense(), expected)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_batches_hold_what_belongs_to_their_nodes(manager, features, kind):
    loader = SpotDataLoader(spots(manager, kind(features), 1), indices=[100, 4, 9], batch_size=2)
    batches = list(loader)
    assert [int(b[BATCH_KEYS.NODES_WITHIN_HOP][0]) for b in batches] == [2, 1]
    slices = manager.adata.obs["slice"].cat.codes.to_numpy()
    for batch, seeds in zip(batches, ([100, 4], [9]), strict=True):
        nodes = batch[BATCH_KEYS.NODE_INDEX].numpy()
        np.testing.assert_array_equal(nodes[: len(seeds)], seeds)
        np.testing.assert_array_equal(np.asarray(batch[BATCH_KEYS.FEATURES].to_dense()), features[nodes])
        np.testing.assert_array_equal(batch[BATCH_KEYS.SLICE][:, 0], slices[nodes])


def test_shuffling_is_seeded_and_covers_all(manager, features):
    def epochs(seed):
        loader = SpotDataLoader(spots(manager, features, 1), batch_size=50, shuffle=True, seed=seed)
        return [[b[BATCH_KEYS.NODE_INDEX][: b[BATCH_KEYS.NODES_WITHIN_HOP][0]].numpy() for b in loader] for _ in "12"]

    first, again, other = epochs(0), epochs(0), epochs(1)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(np.concatenate(a), np.concatenate(b))
    order = [np.concatenate(epoch) for epoch in first]
    assert not np.array_equal(*order) and not np.array_equal(order[0], np.concatenate(other[0]))
    np.testing.assert_array_equal(np.sort(order[0]), np.arange(120))


@pytest.mark.parametrize("patch_size", [None, 1])
def test_the_order_depends_only_on_the_seed_and_the_epoch(manager, features, patch_size):
    def new_loader():
        return SpotDataLoader(spots(manager, features, 1), batch_size=50, patch_size=patch_size, shuffle=True, seed=3)

    def order(loader):
        return np.concatenate([batch[BATCH_KEYS.NODE_INDEX][:40].numpy() for batch in loader])

    loader = new_loader()
    orders = [order(loader) for _ in range(4)]
    assert not np.array_equal(orders[0], orders[2])
    for epoch in (2, 0, 3, 1):
        other = new_loader()
        for one in (other, loader):
            one.sampler.set_epoch(epoch)
            np.testing.assert_array_equal(order(one), orders[epoch])


def test_a_smaller_last_batch_can_be_dropped(manager, features):
    sizes = {
        drop: [int(b[BATCH_KEYS.NODES_WITHIN_HOP][0]) for b in loader]
        for drop in (True, False)
        for loader in [SpotDataLoader(spots(manager, features, 1), batch_size=50, drop_last=drop)]
    }
    assert sizes == {True: [50, 50], False: [40, 40, 40]}


def test_splitter_trains_on_all_spots_unless_told(manager, features):
    arguments = {"dataset": spots(manager, features, 1), "batch_size": 200}
    splitter = SpotDataSplitter(manager, **arguments)
    splitter.setup()
    np.testing.assert_array_equal(splitter.train_idx, np.arange(120))
    assert splitter.val_dataloader() == [] and splitter.test_dataloader() == []
    splitter = SpotDataSplitter(manager, train_size=0.5, validation_size=0.25, **arguments)
    splitter.setup()
    parts = [splitter.train_idx, splitter.val_idx, splitter.test_idx]
    assert list(map(len, parts)) == [60, 30, 30]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(120))
    (batch,) = splitter.test_dataloader()
    np.testing.assert_array_equal(batch[BATCH_KEYS.NODE_INDEX][:30], splitter.test_idx)


def test_batches_of_patches_are_the_training_spots_once_and_drawn_anew(manager, features, monkeypatch):
    monkeypatch.setattr("spotscape.data._loader.FEWEST_PATCHES", 8)
    seeds = np.setdiff1d(np.arange(120), [3, 90])
    loader = SpotDataLoader(spots(manager, features, 2), indices=seeds, batch_size=64, patch_size=8, shuffle=True)
    epochs = [list(loader), list(loader)]
    assert len(loader) == 2
    drawn = []
    for batches in epochs:
        drawn.append([b[BATCH_KEYS.NODE_INDEX][: b[BATCH_KEYS.NODES_WITHIN_HOP][0]].tolist() for b in batches])
        assert sorted(sum(drawn[-1], [])) == seeds.tolist()
        for batch, seeds_of_batch in zip(batches, drawn[-1], strict=True):
            sizes = batch[BATCH_KEYS.PATCH_SIZES].numpy()
            assert sizes.sum() == len(seeds_of_batch)
            assert batch[BATCH_KEYS.SAMPLE].tolist() == [len(sizes), 14, 118]
            for patch in np.split(np.array(seeds_of_batch), np.cumsum(sizes)[:-1]):
                assert len(set(manager.adata.obs["slice"].iloc[patch])) == 1
    assert drawn[0] != drawn[1]


def test_a_batch_has_patches_from_all_over(manager, features):
    loader = SpotDataLoader(spots(manager, features, 2), batch_size=100, patch_size=50, shuffle=True)
    assert len(next(iter(loader))[BATCH_KEYS.PATCH_SIZES]) >= 60


# The second leaves three spots of a slice, a patch much smaller than the others.
@pytest.mark.parametrize("chosen", [np.arange(120), np.r_[:3, 60:120]], ids=["all", "some"])
@pytest.mark.parametrize("batch_size", [7, 20, 50])
def test_batches_in_order_are_even_and_of_spots_that_lie_together(manager, features, batch_size, chosen):
    indices = np.random.default_rng(0).permutation(chosen)
    n_nodes = {}
    for patch_size in (max(1, batch_size // 8), None):
        loader = SpotDataLoader(
            spots(manager, features, 1), indices=indices, batch_size=batch_size, patch_size=patch_size
        )
        batches = list(loader)
        seeds = [b[BATCH_KEYS.NODE_INDEX][: b[BATCH_KEYS.NODES_WITHIN_HOP][0]].numpy() for b in batches]
        np.testing.assert_array_equal(np.sort(np.concatenate(seeds)), chosen)
        sizes = [len(of_batch) for of_batch in seeds]
        assert len(loader) == len(sizes) == -(-len(chosen) // batch_size)
        assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
        n_nodes[patch_size] = sum(len(b[BATCH_KEYS.FEATURES]) for b in batches)
    assert min(n_nodes.values()) < 0.9 * n_nodes[None]


def test_no_batch_of_patches_is_dropped(manager, features):
    arguments = {"batch_size": 70, "patch_size": 10, "shuffle": True}
    dataset = spots(manager, features, 1)
    kept, dropped = (list(SpotDataLoader(dataset, drop_last=drop, **arguments)) for drop in (False, True))
    assert len(kept) == len(dropped) == 2
    assert sum(int(b[BATCH_KEYS.NODES_WITHIN_HOP][0]) for b in dropped) == 120


def test_one_batch_is_never_cut(manager, features):
    (batch,) = SpotDataLoader(spots(manager, features, 2), batch_size=500, patch_size=8)
    assert BATCH_KEYS.SAMPLE not in batch


def test_seeds_may_repeat_or_be_a_mask_but_must_exist(manager, features):
    dataset = spots(manager, features, 1)
    mask = np.isin(np.arange(120), [4, 9])
    for indices, expected in (([9, 4, 9], [9, 4, 9]), (mask, [4, 9])):
        (batch,) = SpotDataLoader(dataset, indices=indices)
        within = batch[BATCH_KEYS.NODES_WITHIN_HOP]
        nodes = batch[BATCH_KEYS.NODE_INDEX].numpy()
        assert nodes[: within[0]].tolist() == expected
        # Each seed reads its own neighbours.
        mixed = (batch[BATCH_KEYS.ADJACENCY].to_dense() @ batch[BATCH_KEYS.FEATURES].to_dense())[: within[0]]
        np.testing.assert_allclose(mixed, (dataset.neighbourhood_of.adjacency @ features)[expected], rtol=1e-5)
    for indices in ([120], [-1], [], mask[1:], np.zeros(120, dtype=bool)):
        with pytest.raises(ValueError, match="`indices`"):
            SpotDataLoader(dataset, indices=indices)


def test_graph_field_takes_all_parameters_and_no_others():
    given = {"slice_key": None, "spatial_key": "spatial", "graph_key": "spatial", "method": "knn", "n_neighbors": 4}
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'radius'"):
        SpatialGraphField(**given)
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_rings'"):
        SpatialGraphField(**given | {"radius": None, "n_rings": 2})
