"""Plug-ins that there are, as files and packages, and their literals."""

import re

import pytest

from boldflow import registry, validation


def test_literals_are_read_without_importing():
    import sys

    sys.modules.pop("boldflow.datasets.haxby", None)
    assert registry.literal("datasets", "haxby", "FACTS")["tr_s"] == 2.5
    assert "boldflow.datasets.haxby" not in sys.modules


def test_the_plugin_is_the_name_unless_said_otherwise():
    assert registry.plugin_name("linear-contrastive", {}) == "linear_contrastive"
    assert registry.plugin_name("x", {"plugin": "ridge"}) == "ridge"
    with pytest.raises(ValueError, match="no plug-in 'rigde'; did you mean 'ridge'"):
        registry.load("models", "rigde")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The text of a model that is a package, in a copy of the models' folder; how to write its ``__init__.py``."""
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    registry.syntax_tree.cache_clear()
    registry.literal.cache_clear()
    folder = tmp_path / "models" / "forest"
    folder.mkdir(parents=True)
    (tmp_path / "models" / "ridge.py").write_text('FACTS = {"device": "cpu"}\n')
    (folder / "trees.py").write_text('FACTS = {"device": "cuda"}\n')
    yield (folder / "__init__.py").write_text
    registry.syntax_tree.cache_clear()
    registry.literal.cache_clear()


def test_a_plugin_may_be_a_package_whose_literals_stand_in_its_init(package):
    assert registry.plugins("models") == ["ridge"]  # a folder without __init__.py is none
    package('FACTS = {"device": "cpu", "threads": 3}\n')
    assert registry.plugins("models") == ["forest", "ridge"]
    assert registry.literal("models", "forest", "FACTS") == {"device": "cpu", "threads": 3}
    assert registry.literal("models", "ridge", "FACTS") == {"device": "cpu"}


def test_of_a_package_what_it_defines_and_what_it_imports_from_itself_are_functions(package):
    package(
        "from boldflow.models.forest.trees import grow as fit, parts\n"
        "from boldflow.models.forestry import of_subject\nfrom boldflow.core.linear import latents\n"
        "def predict(state, inputs): ...\nclass Tree:\n    def nested(self): ...\n"
    )
    assert registry.functions("models", "forest") == {"fit", "parts", "predict"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            'SETTINGS = {\n    "n": {"type": "integer",\n          "default": N},\n}\n',
            "SETTINGS['n']['default'] in line 3 is 'N'",
        ),
        ('SETTINGS = {"kind": {"enum": ["a", *MORE]}}\n', "SETTINGS['kind']['enum'][1] in line 1 is '*MORE'"),
        ('SETTINGS = {**SHARED, "n": {}}\n', "SETTINGS, ** in line 1 is 'SHARED'"),
        ("SETTINGS = {NAME: {}}\n", "SETTINGS, a key in line 1 is 'NAME'"),
    ],
)
def test_what_is_no_literal_is_named_with_its_key_and_line(package, text, place):
    package(text)
    with pytest.raises(ValueError, match=re.escape(place)):
        registry.literal("models", "forest", "SETTINGS")


def test_a_literal_of_a_package_that_is_none_is_told_with_its_file(package):
    package("FACTS = dict(device='cpu')\n")
    with pytest.raises(ValueError, match=r"forest/__init__\.py: FACTS in line 1 .*must be a literal"):
        registry.literal("models", "forest", "FACTS")
    assert validation.plugin_problems("models", "forest")[0].startswith("forest/__init__.py of models: ")
