"""Choices that a command line spells out as a `Literal`, for its --help, equal the tuples that the code goes by."""

from typing import get_args, get_type_hints

import pytest

from avlgan_jax import presets
from avlgan_jax.config import MODEL_NAMES
from avlgan_jax.datasets import features, prepare
from avlgan_jax.editing import requests
from avlgan_jax.faces import emotions
from avlgan_jax.training import run


@pytest.mark.parametrize(
    ("literal", "choices"),
    [
        (requests.Expression, emotions.EXPRESSIONS),
        (get_type_hints(run.Arguments)["preset"], tuple(presets.PRESETS)),
        (get_type_hints(prepare.DrawnRequest)["resolution"], features.RESOLUTIONS),
    ],
)
def test_a_literal_equals_its_tuple(literal, choices):
    assert get_args(literal) == choices


def test_every_model_can_be_trained_alone_or_with_all():
    model = get_type_hints(run.Arguments, include_extras=True)["model"]
    assert all(name in str(model) for name in (*MODEL_NAMES, "all"))
