"""The examples in the docstrings of public classes and functions, run as doctests."""

import doctest
import logging

import numpy as np
import pytest

from .test_project import exported

#: Packages whose public classes and functions all have an example. Only the examples of these packages are run.
COMPLETE = {"datasets", "io", "metrics", "module", "nn", "pl", "pp", "tl", "train"}
#: Examples that need a library that is not always installed.
NEEDS = {"spotscape.metrics.integration_scores": "scib_metrics"}

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def package_of(name: str) -> str:
    """``"metrics"`` for ``"spotscape.metrics.purity"``, ``"spotscape"`` for ``"spotscape.SEDR"``."""
    return name.split(".")[-2]


def public_callables() -> dict[str, object]:
    return {name: value for name, value in exported().items() if callable(value)}


def collect_examples() -> dict[str, doctest.DocTest]:
    """Doctests of all public classes (with their methods) and functions, by full name."""
    finder = doctest.DocTestFinder()
    found: dict[str, doctest.DocTest] = {}
    seen: set[int] = set()
    # A name that is exported twice runs once, under that of a complete package.
    names = sorted(public_callables().items(), key=lambda item: package_of(item[0]) not in COMPLETE)
    for name, value in names:
        if id(value) in seen:
            continue
        seen.add(id(value))
        # Without globals every example has to import what it uses.
        found |= {test.name: test for test in finder.find(value, name, globs={}) if test.examples}
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
    public_name = next(known for known in public_callables() if name == known or name.startswith(f"{known}."))
    if package_of(public_name) not in COMPLETE:
        pytest.skip(f"not every public name of {package_of(public_name)} has an example yet")
    if public_name in NEEDS:
        pytest.importorskip(NEEDS[public_name])
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(EXAMPLES[name], out=report.append)
    assert result.attempted and not result.failed, "".join(report)


def test_every_public_name_has_an_example():
    missing = [
        name
        for name, value in public_callables().items()
        if package_of(name) in COMPLETE and ">>>" not in (value.__doc__ or "")
    ]
    assert not missing, "write an Examples section for these"


def test_packages_named_here_exist():
    packages = {package_of(name) for name in public_callables()}
    assert packages >= COMPLETE
    assert NEEDS.keys() <= public_callables().keys()


def test_a_wrong_example_fails():
    """The runner reports an output that differs, and a name that an example does not import."""
    for text in (">>> 1 + 1\n3\n", ">>> np.pi > 3\nTrue\n"):
        test = doctest.DocTestParser().get_doctest(text, {}, "wrong", None, 0)
        assert doctest.DocTestRunner(optionflags=OPTIONS, verbose=False).run(test, out=lambda line: None).failed
