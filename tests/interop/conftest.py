"""What several tests of Keras' files start from."""

import keras_goldens
import pytest

from gatewright.interop import hdf5


@pytest.fixture(scope="module")
def quick():
    """No process for every HDF5 file: those that are read here are known to be whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "read", keras_goldens.here)
        yield


@pytest.fixture
def read(tmp_path):
    """A function that reads bytes, or a recorded file, as a file of a name."""
    return keras_goldens.reader(tmp_path)
