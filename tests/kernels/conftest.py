"""Each test of a kernel runs once for every instruction family: of this processor, and of those that are emulated."""

import pytest

from tests.selection import of_families


@pytest.fixture(scope="session", params=of_families())
def library(request, library_of):
    """Return the compiled kernels of one family."""
    return library_of(request.param)
