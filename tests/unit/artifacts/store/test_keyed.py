"""Arrays whose rows have keys: neither the array nor its table of keys can be changed alone."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store import arrays, keyed, tables


@pytest.fixture
def made(tmp_path):
    """An array of five rows with keys of two columns."""
    keys = pd.DataFrame({"run": ["1", "1", "1", "2", "2"], "trial": [1, 2, 3, 1, 2]})
    values = np.arange(10.0).reshape(5, 2)
    keyed.write(tmp_path / "a.npy", values, tmp_path / "a.parquet", keys, units="none")
    return tmp_path / "a.npy", tmp_path / "a.parquet", values, keys


def test_the_tables_metadata_hold_the_sha256_of_the_arrays_file(made):
    path, index, values, keys = made
    note = tables.sidecar(index)
    assert note["array_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest() and note["units"] == "none"
    found, again = keyed.read(path, index, ndim=2)
    np.testing.assert_array_equal(found, values)
    pd.testing.assert_frame_equal(again, keys)


def test_rows_are_found_by_key_whatever_their_order_and_types(made):
    path, index, values, keys = made
    order = np.array([3, 0, 4, 2, 1])
    keyed.write(path, values[order], index, keys.iloc[order].reset_index(drop=True))
    found, read = keyed.read(path, index, ndim=2)
    sought = keys.astype({"run": "string", "trial": "int32"})
    np.testing.assert_array_equal(found[keyed.places_of(sought, read, index)], values)
    some = sought.iloc[[4, 1]]
    np.testing.assert_array_equal(found[keyed.places_of(some, read, index)], values[[4, 1]])


def permute(path, index, values, keys):
    arrays.write(path, values[::-1])


def shorten(path, index, values, keys):
    arrays.write(path, values[:4])


def permute_keys(path, index, values, keys):
    tables.write(index, keys.iloc[::-1], tables.sidecar(index))


def double(path, index, values, keys):
    tables.write(index, keys.iloc[[0, 1, 2, 3, 3]], tables.sidecar(index))


def drop(path, index, values, keys):
    tables.write(index, keys.iloc[:4], tables.sidecar(index))


def blank(path, index, values, keys):
    tables.write(index, keys.assign(run=["1", None, "1", "2", "2"]), tables.sidecar(index))


def forget(path, index, values, keys):
    tables.write(index, keys)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (permute, r"a\.parquet belongs to another state of .*a\.npy.* of the array, found .*changed alone; make both"),
        (shorten, r"a\.npy has 4 rows \(axis 0 of shape \(4, 2\)\), .*a\.parquet has 5 keys"),
        (permute_keys, r"a\.parquet .* of its own keys in their order, found"),
        (double, r"a\.parquet: the key run 2, trial 1 of row 4 comes twice"),
        (drop, r"a\.npy has 5 rows .*, .*a\.parquet has 4 keys"),
        (blank, r"a\.parquet: row 1 lacks a part of its key: run \(missing\), trial 2"),
        (forget, r"a\.parquet states no checksums \(array_sha256, keys_sha256\) of .*a\.npy"),
    ],
)
def test_what_is_changed_alone_is_refused_by_name(made, change, says):
    change(*made)
    with pytest.raises(ValueError, match=says):
        keyed.read(*made[:2], ndim=2)


def test_a_key_that_is_not_there_is_named(made):
    _, index, _, keys = made
    sought = keys.assign(run=["1", "1", "1", "2", "3"])
    with pytest.raises(ValueError, match=r"a\.parquet lacks 1 of 5 keys .*, the first is run 3, trial 2; its own"):
        keyed.places_of(sought, keys, index)
    with pytest.raises(ValueError, match=r"a\.parquet lacks the columns \['fold'\] of a key; there are: \['run', "):
        keyed.places_of(sought.assign(fold=0), keys, index)


def test_a_key_that_comes_twice_or_too_few_keys_are_not_written(tmp_path):
    keys = pd.DataFrame({"trial": [1, 1]})
    with pytest.raises(ValueError, match="the key trial 1 of row 1 comes twice"):
        keyed.write(tmp_path / "a.npy", np.zeros((2, 1)), tmp_path / "a.parquet", keys)
    with pytest.raises(ValueError, match=r"has 3 rows .* has 2 keys"):
        keyed.write(tmp_path / "a.npy", np.zeros((3, 1)), tmp_path / "a.parquet", keys.assign(trial=[1, 2]))
    assert not list(tmp_path.iterdir())
