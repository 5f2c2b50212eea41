"""The step that `modern` trains: its rate, and what the warp costs in it.

PyTorch's reference has the step of `paper` only, so there is no comparison with PyTorch here.
"""

import dataclasses
from collections.abc import Iterator

from avlgan_jax import presets
from avlgan_jax.config import Config
from benchmarks.timing import Case, Setting, alternate
from benchmarks.training import IMAGE_CASES, TINY, OurRun, configured


def step(setting: Setting) -> Iterator[Case]:
    """Yield the rate of the full step of `modern`, and of the same with a mask in place of the warp, in images/s."""
    for side, width, batch_size in [TINY] if setting.tiny else IMAGE_CASES[setting.device]:
        config = _configured(side, width, batch_size)
        masked = dataclasses.replace(config, image=dataclasses.replace(config.image, warped=False, masked=True))
        runs = {"ours": OurRun(config, "image"), "ours, masked": OurRun(masked, "image")}
        items = runs["ours"].steps * batch_size
        measured = alternate(runs, rounds=setting.rounds, unit="images/s", items=items)
        facts = {"time over the time without the warp": measured["ours, masked"].median / measured["ours"].median}
        yield Case(f"{side} px, width {width}, batch {batch_size}", measured, facts)


def _configured(side: int, width: int, batch_size: int) -> Config:
    """Return preset `modern` with the sizes of `training.configured`, after the warm-up."""
    sizes, recipe = configured(side, width, batch_size).image, presets.modern()
    names = ("width", "d_width", "batch_size", "d_layers", "blocks")
    image = dataclasses.replace(recipe.image, d_warmup=0, **{name: getattr(sizes, name) for name in names})
    return dataclasses.replace(recipe, resolution=side, image=image)
