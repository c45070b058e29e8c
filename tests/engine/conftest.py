"""What several tests of the engine start from."""

import pytest

from edgebert.engine.kernel_file import find_kernels
from edgebert.engine.library import load_library
from edgebert.engine.processor import available_families, features


@pytest.fixture
def own(cache_home):
    """Return the kernels of this processor's best family, as the cache has them."""
    best = available_families()[0]
    load_library(best)
    found = find_kernels(best, features())
    assert found is not None
    return found
