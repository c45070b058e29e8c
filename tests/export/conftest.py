"""Libraries and images, each made once."""

import functools

import pytest

import edgebert
from edgebert import export as export_package
from edgebert.engine.kernel_file import this_platform
from edgebert.engine.linker import find_compiler
from edgebert.engine.processor import available_families
from edgebert.export import _library
from edgebert.export.image import write_image
from edgebert.model_file import ModelFile
from tests.export.c_model import CModel
from tests.export.tiny import TINY, convert_tiny, write_tiny
from tests.golden import GOLDEN, KINDS

# Exported kernels are for Linux, and not for tile registers, which a process has to ask for.
FAMILY = next(name for name in available_families() if name != "amx")


@pytest.fixture(scope="session", autouse=True)
def compile_once():
    """Compile each family for a platform once; what is made of it is what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_package, "compile_object", functools.cache(export_package.compile_object))
        yield


@pytest.fixture(scope="session")
def native_library(cache_home, tmp_path_factory):
    """Return the path of the shared library for this processor."""
    if find_compiler(this_platform()) is None:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("native") / "libedgebert.so"
    path.write_bytes(_library(FAMILY, this_platform(), static=False))
    return path


@pytest.fixture(scope="session")
def exported(golden_files, tmp_path_factory):
    """Return a function from the name of a golden model, or of a tiny one, to its .edgebert file and its image."""
    folder = tmp_path_factory.mktemp("images")

    def make(name):
        model, image = folder / f"{name}.edgebert", folder / f"{name}.image"
        if name in golden_files:
            model = golden_files[name]
        elif not model.exists():
            golden = GOLDEN / ("kinds" if name in KINDS else "families") / name
            if name in TINY:
                convert_tiny(write_tiny(name, folder / name), model)
            else:
                edgebert.convert(golden, model, min_agreement=0)
        if not image.exists():
            write_image(ModelFile(model), image)
        return model, image

    return make


@pytest.fixture
def opened(native_library, tmp_path):
    """Return a function that opens an image of some bytes."""

    def open_bytes(data):
        path = tmp_path / "model.image"
        path.write_bytes(data)
        return CModel(native_library, path)

    return open_bytes
