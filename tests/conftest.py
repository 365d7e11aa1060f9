"""What every test starts from: no windows, the same random numbers, and real sections where there are any."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import anndata
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


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Path of a file in the folder of real sections, which the environment variable ``SPOTSCAPE_DATA`` names."""

    def find(name: str) -> Path:
        folder = os.environ.get("SPOTSCAPE_DATA")
        if not folder:
            pytest.skip("SPOTSCAPE_DATA does not name a folder of real sections")
        path = Path(folder) / name
        if not path.exists():
            pytest.skip(f"the folder SPOTSCAPE_DATA has no {name}")
        return path

    return find


@pytest.fixture(scope="session")
def section(data_file: Callable[[str], Path]) -> Callable[[str], anndata.AnnData]:
    """A real section, read anew at every call."""
    return lambda name: anndata.read_h5ad(data_file(f"{name}.h5ad"))
