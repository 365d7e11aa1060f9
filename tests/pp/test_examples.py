"""The examples in the docstrings of ``pp`` run as they are printed."""

import doctest

import pytest

import spotscape.pp as pp


@pytest.mark.parametrize("name", pp.__all__)
def test_examples_run(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(pp, name), name, globs={})
    assert example.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
