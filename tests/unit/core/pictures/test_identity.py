"""Pictures that say by their names what they are."""

import pytest

from boldflow.core.pictures import duplicates


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("COCO_train2014_000000420713.jpg", 420713),
        ("COCO_val2014_000000420713.jpg", 420713),
        ("coco/000000426445.jpg", 426445),
        ("stimuli/coco/000000000009.jpg", 9),
        ("n01930112_19568.JPEG", None),
        ("000000426445.jpg", None),
        ("dog/dog_12s.jpg", None),
        ("ATM1", None),
    ],
)
def test_a_picture_of_coco_is_known_by_its_number_in_every_data_set(name, number):
    assert duplicates.coco_id(name) == number
