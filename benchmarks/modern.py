"""The step that `modern` trains, compared with PyTorch, and what the warp costs in it."""

import dataclasses
import os
import shutil
from collections.abc import Iterator

from avlgan_jax import presets
from avlgan_jax.config import Config
from benchmarks import training
from benchmarks.timing import Case, Setting
from benchmarks.training import IMAGE_CASES, TINY, OurRun

# One case for each side: a case compiles five forms of the step, which takes minutes on a CPU.
CASES = IMAGE_CASES | {"cpu": ((32, 16, 16), (64, 16, 16), (128, 64, 4))}


def step(setting: Setting) -> Iterator[Case]:
    """Yield the rate of the full step of `modern`, and of the same with a mask in place of the warp, in images/s.

    The one with a mask is ours only: it says what our warp costs.
    """
    for side, width, batch_size in [TINY] if setting.tiny else CASES[setting.device]:
        config = configured(side, width, batch_size)
        masked = dataclasses.replace(config, image=dataclasses.replace(config.image, warped=False, masked=True))
        runs = {"ours": OurRun(config, "image")}
        if setting.device == "gpu":
            runs["ours bf16"] = OurRun(config, "image", precision="bfloat16")
        others = {"ours, masked": OurRun(masked, "image")}
        case = training.image_case(setting, config, runs, others=others, forms=_forms(setting))
        measured = case.measured
        slower = {"time over the time without the warp": measured["ours, masked"].median / measured["ours"].median}
        yield dataclasses.replace(case, facts=case.facts | slower)


def configured(side: int, width: int, batch_size: int) -> Config:
    """Return preset `modern` with the sizes of `training.configured`, after the warm-up."""
    sizes, recipe = training.configured(side, width, batch_size).image, presets.modern()
    names = ("width", "d_width", "batch_size", "d_layers", "blocks")
    image = dataclasses.replace(recipe.image, d_warmup=0, **{name: getattr(sizes, name) for name in names})
    return dataclasses.replace(recipe, resolution=side, image=image)


def _forms(setting: Setting) -> tuple[str, ...]:
    """Return the forms of the PyTorch reference. On a GPU `best` is compiled; on a CPU that needs a C++ compiler."""
    if setting.device == "gpu" or not shutil.which(os.environ.get("CXX", "g++")):
        return ("eager", "best")
    return ("eager", "best", "compiled")
