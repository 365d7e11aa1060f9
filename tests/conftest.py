"""What every test starts from: no windows, and the same random numbers."""

import random
import sys

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Seed the global generators, so that no test depends on those that ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (libraries below draw from the global generator)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test has drawn."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
