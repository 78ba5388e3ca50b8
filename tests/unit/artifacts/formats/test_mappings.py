"""Pickled tables of names: read without unpickling, and whatever else a pickle can hold is refused unrun."""

import os
import pickle

import numpy as np
import pytest

from boldflow.artifacts.formats import mappings

NAMES = {0: "Unknown", 1: "EBA", 2: "FBA-1", 300: "mTL-bodies", 70000: "aTL-faces", -1: "none"}


class Canary:
    """What would run if the pickle were opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def write(path, payload, shape=()):
    with path.open("wb") as handle:
        np.lib.format.write_array_header_1_0(handle, {"descr": "|O", "fortran_order": False, "shape": shape})
        handle.write(payload)


def refused(path, words):
    with pytest.raises(ValueError, match=words) as told:
        mappings.read(path)
    assert str(path) in str(told.value)


def test_a_dict_that_numpy_saved_comes_back_and_nothing_is_unpickled(tmp_path, monkeypatch):
    path = tmp_path / "mapping.npy"
    np.save(path, NAMES)

    def unpickle(*_, **__):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, unpickle)
    assert mappings.read(path) == NAMES


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_the_protocols_and_both_names_of_numpys_module_are_known(tmp_path, protocol, module):
    payload = pickle.dumps(np.array(NAMES, dtype=object), protocol=protocol)
    old = next(name for name in (b"numpy._core.multiarray", b"numpy.core.multiarray") if name in payload)
    if protocol > 3 and len(module) != len(old):  # the text's length stands before it, the frame's before all
        payload = payload.replace(bytes([len(old)]) + old, bytes([len(module)]) + module)
        payload = payload.replace(payload[3:11], (len(payload) - 11).to_bytes(8, "little"), 1)
    else:
        payload = payload.replace(old, module)
    write(tmp_path / "mapping.npy", payload)
    assert mappings.read(tmp_path / "mapping.npy") == NAMES


@pytest.mark.parametrize("where", ["value", "key", "whole", "in place of the array"])
def test_a_pickle_with_code_is_refused_by_name_and_its_canary_is_untouched(tmp_path, where):
    canary, path = tmp_path / "canary", tmp_path / "mapping_floc-bodies.npy"
    code = Canary(canary)
    if where == "in place of the array":
        write(path, pickle.dumps(code, protocol=4))
    else:
        content = {"value": {0: "Unknown", 1: code}, "key": {code: "EBA"}, "whole": code}[where]
        np.save(path, np.array(content, dtype=object), allow_pickle=True)
    refused(
        path, r"mapping_floc-bodies.npy \(\d+ bytes\) is refused: its pickle names posix.system, which is code.*run"
    )
    assert not canary.exists()
    np.load(path, allow_pickle=True)  # the canary is a live one
    assert canary.exists()


def test_names_that_are_allowed_can_make_nothing_else(tmp_path):
    path = tmp_path / "mapping.npy"
    whole = pickle.dumps(np.array(NAMES, dtype=object), protocol=3)
    write(path, whole.replace(b"numpy\nndarray\n", b"numpy\nload\n"))
    refused(path, "its pickle names numpy.load, which is code")
    write(path, whole.replace(b"K\x00\x85q", b"K\x07\x85q", 1))  # an array of seven
    refused(path, "its pickle makes something")
    write(path, pickle.dumps(np.array([1.5, NAMES], dtype=object), protocol=3))
    refused(path, "BINFLOAT at byte")
    write(path, pickle.dumps(NAMES, protocol=3))
    refused(path, "no array of one dict")
    write(path, b"\x80\x03}(}X\x01\x00\x00\x00aus.")  # a dict whose key is a dict
    refused(path, "a key of its dict is a dict")
    write(path, b"\x80\x03" + b")" + b"\x85" * 200_000 + b"X\x01\x00\x00\x00a\x86R.")  # tuples in tuples
    refused(path, "is refused: ")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({1: 2}, "gives 1 a int, expected whole numbers and their names"),
        ({"1": "EBA"}, "gives '1' a str, expected whole numbers"),
        ({True: "EBA"}, "a key of its dict is a bool"),
        ({1: "EBA", 2: "EBA"}, "names 1 as 'EBA', expected a name that no other number has"),
        ({1: ""}, "names 1 as ''"),
        ({np.int64(1): "EBA"}, "multiarray.scalar, which is code"),
    ],
)
def test_what_is_no_table_of_names_is_refused(tmp_path, content, words):
    np.save(tmp_path / "mapping.npy", content, allow_pickle=True)
    refused(tmp_path / "mapping.npy", words)


def test_files_that_are_not_whole_or_no_npy_are_refused(tmp_path):
    path = tmp_path / "mapping.npy"
    np.save(path, NAMES)
    content = path.read_bytes()
    for cut, words in ((5, "no whole .npy"), (60, "no whole .npy"), (len(content) - 20, "is refused: ")):
        path.write_bytes(content[:cut])
        refused(path, words)
    path.write_bytes(content + b"more")
    refused(path, "4 bytes follow its pickle")
    np.save(path, np.arange(3))
    refused(path, r"holds int64 of shape \(3,\), expected one dict of names")
    path.write_bytes(content + bytes(mappings.MOST_BYTES))
    refused(path, "a table of names at most")
