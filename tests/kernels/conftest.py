"""Each test of a kernel runs once for every instruction family of this processor."""

import pytest

from edgebert.engine.library import load_library
from edgebert.engine.processor import available_families


@pytest.fixture(scope="session", params=available_families())
def library(request, cache_home):
    """Return the compiled kernels of one family."""
    return load_library(request.param)
