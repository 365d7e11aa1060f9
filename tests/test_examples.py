"""The examples in the docstrings of public classes and functions, run as doctests."""

import doctest
import importlib
import logging
import pkgutil

import numpy as np
import pytest

import spotscape

from .test_project import exported

#: Examples that need a library that is not always installed.
NEEDS = {
    "spotscape.metrics.integration_scores": "scib_metrics",
    **dict.fromkeys(("spotscape.tl.trajectory", "spotscape.pl.trajectory"), "igraph"),
    **dict.fromkeys(("spotscape.tl.neighborhood_enrichment", "spotscape.pl.neighborhood"), "squidpy"),
}

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public_callables() -> dict[str, object]:
    """Public classes and functions of all packages, also of packages within packages, by full name."""
    names = exported()
    for info in pkgutil.walk_packages(spotscape.__path__, "spotscape."):
        if info.ispkg and info.name.count(".") > 1:
            package = importlib.import_module(info.name)
            names |= {f"{info.name}.{name}": getattr(package, name) for name in package.__all__}
    return {name: value for name, value in names.items() if callable(value)}


def collect_examples() -> dict[str, doctest.DocTest]:
    """Doctests of all public classes (with their methods) and functions, by full name."""
    finder = doctest.DocTestFinder()
    found: dict[str, doctest.DocTest] = {}
    seen: set[int] = set()
    for name, value in sorted(public_callables().items(), key=lambda item: -item[0].count(".")):
        # A name that is exported twice runs once, under that of its package.
        if id(value) in seen:
            continue
        seen.add(id(value))
        # Without globals every example has to import what it uses. With `module=False` the finder also looks at methods
        # whose decorator is of another module; private attributes hold other classes.
        tests = finder.find(value, name, module=False, globs={})
        found |= {test.name: test for test in tests if test.examples and "._" not in test.name}
    return found


EXAMPLES = collect_examples()


@pytest.fixture
def stable_output(tmp_path, monkeypatch):
    """A folder to write into, fixed print options, and neither log messages nor progress bars in the output."""
    monkeypatch.chdir(tmp_path)
    # scvi-tools writes its progress bar to the standard output.
    monkeypatch.setattr("scvi.train._progress.ProgressBar.refresh_rate", 0)
    logging.disable(logging.WARNING)
    with np.printoptions(precision=4, suppress=True, linewidth=120):
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example_gives_the_output_it_shows(name, stable_output):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(EXAMPLES[name], out=report.append)
    assert result.attempted and not result.failed, "".join(report)


def test_every_public_name_has_an_example():
    missing = [name for name, value in public_callables().items() if ">>>" not in (value.__doc__ or "")]
    assert not missing, "write an Examples section for these"


def test_every_public_method_of_the_models_has_an_example():
    models = {name: value for name, value in public_callables().items() if name.startswith("spotscape.model.")}
    methods = {f"{name}.{key}" for name, model in models.items() for key in vars(model) if not key.startswith("_")}
    missing = sorted(methods - EXAMPLES.keys() - {"spotscape.model.SpatialModel.preprocessor"})
    assert not missing, "write an Examples section for these"


def test_names_that_need_a_library_exist():
    assert NEEDS.keys() <= EXAMPLES.keys()


def test_a_wrong_example_fails():
    """The runner reports an output that differs, and a name that an example does not import."""
    for text in (">>> 1 + 1\n3\n", ">>> np.pi > 3\nTrue\n"):
        test = doctest.DocTestParser().get_doctest(text, {}, "wrong", None, 0)
        assert doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=lambda line: None).failed
