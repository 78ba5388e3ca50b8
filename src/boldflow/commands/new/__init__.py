"""``python -m boldflow new NAME``: a data set's entry and a study from a BIDS folder, or a copy of a study.

``entry`` writes the entry into config/config.yaml and leaves every other line as it is, ``study`` writes
config/studies/NAME.yaml.
"""
