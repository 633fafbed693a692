"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import leadjobs

MODULES = ["leadjobs", *(module.name for module in pkgutil.walk_packages(leadjobs.__path__, "leadjobs."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    """Every ``>>>`` line of the module prints what stands below it."""
    module = importlib.import_module(name)
    assert 0 == doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed


def test_some_examples_are_found() -> None:
    """The doctests are really looked for."""
    finder = doctest.DocTestFinder()
    assert any(test.examples for test in finder.find(importlib.import_module("leadjobs.core.registry")))
