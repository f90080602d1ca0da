"""Arrays as npz: numpy reads what is written, and what numpy writes is read."""

import io

import numpy as np
import pytest

from project.storage.arrays import pack_arrays, unpack_arrays

ARRAYS = {
    "flow": np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float16),
    "mask": np.full((5, 7), 255, np.uint8),
    "trace_objective": np.float32([1, np.nan, -np.inf]),
    "trace_empty": np.zeros(0, np.float32),
    "steps": np.arange(4),
    "flag": np.bool_([True, False]),
    "one": np.float64(0.1),
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "swapped": np.arange(3, dtype=">i4"),
}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(found[name], array)


def test_numpy_reads_what_is_written():
    with np.load(io.BytesIO(pack_arrays(ARRAYS))) as found:
        same(dict(found), ARRAYS)


def test_what_is_written_comes_back_and_may_be_written_to():
    found = unpack_arrays(pack_arrays(ARRAYS))
    same(found, ARRAYS)
    for array in found.values():
        array[...] = 0


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(save):
    packed = io.BytesIO()
    save(packed, **ARRAYS)
    same(unpack_arrays(packed.getvalue()), ARRAYS)


def test_equal_arrays_are_equal_bytes():
    assert pack_arrays(ARRAYS) == pack_arrays({name: np.copy(a) for name, a in ARRAYS.items()})


def test_masks_shrink():
    assert len(pack_arrays({"mask": np.full((224, 224), 255, np.uint8)})) < 1000


def test_objects_are_refused():
    packed = io.BytesIO()
    np.savez(packed, thing=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        unpack_arrays(packed.getvalue())
