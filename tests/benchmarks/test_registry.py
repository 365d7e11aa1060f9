"""The registry, and the names of the package that the benchmarks use."""

import ast
import importlib
from functools import reduce

import numpy as np
import pytest

import spotscape as sps
from benchmarks.common import registry
from benchmarks.common.processes import ROOT
from benchmarks.common.reading import Section
from benchmarks.common.variants import VARIANTS

FILES = sorted(path for path in (ROOT / "benchmarks").rglob("*.py") if path.stem not in registry.PEERS)


def attributes(node):
    """Names of a chain such as ``sps.tl.domains``, empty where it begins with something else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [*names, node.id][::-1] if isinstance(node, ast.Name) else []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "benchmarks")))
def test_names_of_the_package_exist(path):
    importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    chains = [attributes(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    for names in (names for names in chains if len(names) > 1 and names[0] == "sps"):
        reduce(getattr, names[1:], sps)


@pytest.mark.parametrize("name", [path.parent.name for path in FILES if path.name == "__main__.py"])
def test_programs_describe_themselves(name, capsys):
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"benchmarks.{name}.__main__").main(["--help"])
    printed = capsys.readouterr().out
    assert end.value.code == 0 and printed.startswith(f"usage: python -m benchmarks.{name} ") and "--out DIR" in printed


def test_models_and_their_variants():
    assert registry.DEFAULT_MODEL in registry.MODELS and set(registry.MODELS) == set(VARIANTS)
    assert all("default" in model.variants for model in registry.MODELS.values())
    assert all(hasattr(sps, name) for name in (*registry.MODELS, registry.IMAGE_MODEL))
    assert set(registry.MODELS) <= set(registry.INTEGRATION) and set(registry.MODELS) <= set(registry.CROSS_SAMPLE)


def test_methods_that_draw_nothing_do_not_depend_on_the_seed():
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=60, n_domains=3)
    adata.obs["slice"] = adata.obs["slice"].astype("category")
    for name, method in (registry.FLOORS | registry.COMMON).items():
        if not method.draws:
            # Sections of their own, so that no representation is read again.
            sections = [Section(adata.copy(), np.ones(120, dtype=bool), np.repeat(["a", "b"], 60)) for _ in range(2)]
            found = [method.represent(section, seed) for seed, section in enumerate(sections)]
            np.testing.assert_array_equal(*found, err_msg=name)
            assert found[0].shape[0] == 120 and found[0].std() > 0
