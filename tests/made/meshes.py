"""Surfaces on which figures of tests show maps, read once."""

import functools

from boldflow.stages.studies._surfaces import read_hemispheres

hemispheres = functools.cache(read_hemispheres)
