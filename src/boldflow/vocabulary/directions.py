"""What a model does with responses and features."""

from enum import StrEnum


class Direction(StrEnum):
    """From which side of the brain a model looks; a text of the same letters is equal to it."""

    DECODE = "decode"  # from responses to features
    ENCODE = "encode"  # from features to responses
    REPRESENT = "represent"  # from one of both to a code of it, and back
