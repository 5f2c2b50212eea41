"""Run-time checks of jaxtyping signatures, which `conftest.py` turns on for some modules: they are in effect."""

import importlib

import jax.numpy as jnp
import pytest
from conftest import CHECKED_MODULES


@pytest.mark.parametrize("name", CHECKED_MODULES)
def test_the_signatures_of_the_module_are_checked(name):
    """An import hook for a module that does not exist has no effect and raises no error."""
    module = importlib.import_module(f"avlgan_jax.{name}")
    assert type(module.__spec__.loader).__module__.startswith("jaxtyping")


def test_a_wrong_shape_raises_an_error():
    from avlgan_jax.models import losses

    losses.emotion(jnp.zeros((2, 2)), jnp.zeros((2, 2)))
    with pytest.raises(Exception, match="emotion"):
        losses.emotion(jnp.zeros((2, 3)), jnp.zeros((2, 2)))
