"""Codes of planted category vertices: an autoencoder's tell the class apart as well as principal components do."""

import numpy as np
import pytest
import yaml

from boldflow import catalogue, registry
from boldflow.core.compute import fixed_threads
from boldflow.core.records.training import TrainingData
from boldflow.core.scores import latents
from boldflow.settings import Entry
from tests.conftest import ROOT

CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
N_VERTICES, N_PICTURES, REPEATS, N_CATEGORIES = 240, 120, 2, 6
MARGIN = 0.03


def planted(seed):
    """Responses of patches, each with a category of its own, and what all vertices share; pictures are shown twice.

    The first category is the class; the last third of the pictures is held out.
    """
    rng = np.random.default_rng(seed)
    category = np.arange(N_PICTURES) % N_CATEGORIES
    patch = np.repeat(np.arange(N_CATEGORIES), N_VERTICES // N_CATEGORIES)
    gain = rng.uniform(0.75, 2.25, N_VERTICES)
    shared = 0.3 * rng.normal(size=(N_PICTURES, 4)) @ rng.normal(size=(4, N_VERTICES))
    signal = (category[:, None] == patch) * gain + shared
    picture = np.repeat(np.arange(N_PICTURES), REPEATS)
    x = (signal[picture] + rng.normal(size=(len(picture), N_VERTICES))).astype(np.float32)
    inside = picture < N_PICTURES * 2 // 3
    mean, sd = x[inside].mean(axis=0), x[inside].std(axis=0)
    return (x - mean) / sd, picture, inside, category == 0


def area(name, x, picture, inside, y):
    """Held-out area of the class in the codes of a model of the catalogue."""
    entry = catalogue.settings(CONFIG, SCHEMAS, "models", name)
    plugin = registry.load("models", registry.plugin_name(name, CONFIG["models"][name]))
    is_val = picture[inside] >= N_PICTURES // 2  # of the training pictures
    data = TrainingData(x[inside], x[inside], picture[inside], is_val)
    state = plugin.fit([data], Entry(entry), [33], "cpu", None).states[0]
    codes = plugin.latents(state, x)
    fold = latents.FoldCodes(codes[inside], picture[inside], codes[~inside], picture[~inside])
    return latents.separate([fold], y, np.zeros(len(y)), 0, 0).auc


@pytest.fixture(scope="module")
def areas():
    """Area by model, in one brain."""
    names = ("sae-few-32", "sae-untrained-control", "pca-32", "raw")
    with fixed_threads(1):
        return {name: area(name, *planted(0)) for name in names}


def test_a_trained_code_tells_the_class_apart_as_well_as_principal_components(areas):
    assert areas["pca-32"] > 0.8 and areas["raw"] > 0.8, "the class is planted"
    assert areas["sae-few-32"] >= areas["pca-32"] - MARGIN, areas


def test_training_is_what_does_it(areas):
    assert areas["sae-few-32"] > areas["sae-untrained-control"], areas
