"""The cache of image features: what is not whole, finite and of the right shape is computed again."""

import threading
import warnings

import numpy as np
import pytest

from spotscape.pp.image._cache import FeatureCache

FEATURES = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path)


def test_what_is_written_is_read(cache, tmp_path):
    assert cache.read("key", 30) is None
    cache.write("key", FEATURES)
    np.testing.assert_array_equal(cache.read("key", 30), FEATURES)
    assert [path.name for path in tmp_path.iterdir()] == ["key.npz"]


def test_files_of_the_first_release_are_read(cache, tmp_path):
    np.savez_compressed(tmp_path / "key.npz", features=FEATURES)
    np.testing.assert_array_equal(cache.read("key", 30), FEATURES)


@pytest.mark.parametrize(
    "features",
    [FEATURES[:29], FEATURES[0], FEATURES[:, :0], FEATURES.astype(np.float64), np.full_like(FEATURES, np.nan)],
    ids=["other spots", "vector", "no columns", "other type", "not finite"],
)
def test_what_is_not_valid_is_not_used(cache, features):
    cache.write("key", features)
    with pytest.warns(UserWarning, match=r"'key\.npz' in `cache_dir` is damaged; its features are computed again"):
        assert cache.read("key", 30) is None


def test_other_numbers_and_flipped_bits_are_found(cache, tmp_path):
    cache.write("key", FEATURES)
    with np.load(tmp_path / "key.npz") as archive:
        np.savez(tmp_path / "other.npz", features=archive["features"] + 1, sha256=archive["sha256"])
    with pytest.warns(UserWarning, match="damaged"):
        assert cache.read("other", 30) is None
    whole = (tmp_path / "key.npz").read_bytes()
    places = np.random.default_rng(1).integers(8 * len(whole), size=40)
    for place in places:
        content = bytearray(whole)
        content[place // 8] ^= 1 << (place % 8)
        (tmp_path / "key.npz").write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = cache.read("key", 30)
        assert found is None or np.array_equal(found, FEATURES)


def test_a_full_disk_costs_the_cache_but_not_the_features(cache, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.warns(UserWarning, match="Image features are not cached: .* the disk is full|not cached"):
        cache.write("key", FEATURES)
    assert not list(tmp_path.iterdir())


def test_threads_write_and_read_whole_files(cache):
    failures = []

    def use():
        try:
            for _ in range(5):
                cache.write("key", FEATURES)
                np.testing.assert_array_equal(cache.read("key", 30), FEATURES)
        except (AssertionError, OSError, Warning) as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
