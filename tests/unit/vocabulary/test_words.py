"""The words that rooms share: what stands in paths, tables and schemas."""

import dataclasses

import pytest

from boldflow.vocabulary.directions import Direction
from boldflow.vocabulary.hemispheres import FREESURFER, HEMISPHERES, IN_A_NAME
from boldflow.vocabulary.meshes import FOLDERS, N_VERTICES
from boldflow.vocabulary.regions import kind_of
from boldflow.vocabulary.results import ResultKey, pooled_name


def test_a_direction_is_the_text_of_the_catalogue():
    assert Direction("decode") == "decode"
    assert f"{Direction.ENCODE}" == "encode"
    assert {"represent": 1}[Direction.REPRESENT] == 1
    with pytest.raises(ValueError, match="sideways"):
        Direction("sideways")


def test_a_result_is_named_in_the_order_of_its_path():
    key = ResultKey("sim", "sub-01", "bold", "gabor", "ridge", "repeated")
    assert "/".join(dataclasses.astuple(key)) == "sim/sub-01/bold/gabor/ridge/repeated"
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.subject = "sub-02"


def test_a_pooled_model_has_a_name_that_no_entry_can_have():
    assert pooled_name("ridge") == "ridge (pooled)"


@pytest.mark.parametrize(("divisions", "name"), [(5, "fsaverage5"), (6, "fsaverage6"), (7, "fsaverage7")])
def test_vertices_of_a_mesh_are_those_of_an_icosahedron_divided(divisions, name):
    """Each division by two of an icosahedron's edges has four times the faces: 10 * 4**n + 2 vertices."""
    assert N_VERTICES[name] == 10 * 4**divisions + 2
    assert set(FOLDERS) == set(N_VERTICES)


def test_hemispheres_are_told_by_names_of_files():
    assert tuple(FREESURFER.values()) == HEMISPHERES
    assert IN_A_NAME.findall("sub-01_rh.V1.mgz") == [("rh", "")]
    assert IN_A_NAME.findall("tpl-fsaverage_hemi-L_V1.label.gii") == [("", "L")]
    assert not IN_A_NAME.findall("V1.nii.gz")


def test_kinds_of_files_that_give_regions():
    assert [kind_of(name) for name in ("lh.V1.label", "a.nii.gz", "a.txt")] == ["label", "volume", ""]
