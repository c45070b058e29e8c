"""Each test of a kernel runs once for every instruction family: of this processor, and of those that are emulated."""

import pytest

from edgebert.engine.processor import available_families
from tests.emulator import EMULATED


@pytest.fixture(scope="session", params=[*available_families(), *EMULATED])
def library(request, library_of):
    """Return the compiled kernels of one family."""
    return library_of(request.param)
