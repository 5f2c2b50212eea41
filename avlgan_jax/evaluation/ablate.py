"""Train a workdir's models again with one thing changed, and write the report of what it does.

    python ablate.py --workdir runs/demo                    # Table I: each of four loss weights at every value
    python ablate.py --workdir runs/demo --what recipe      # without each part of the recipe

The landmark converters of Table I train together in one program, all else one after another. What was stopped goes on
where it was when the same command is given again. The report is that of `evaluate.py --experiment table_i` or `recipe`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from avlgan_jax.errors import command
from avlgan_jax.evaluation import run


@dataclass(frozen=True)
class Arguments:
    """Train a workdir's models again with one thing changed, and write the report of what it does."""

    workdir: Path
    """Folder of the training run that is varied."""
    what: Literal["table_i", "landmark", "image", "recipe"] = "table_i"
    """Table I, or its half of the landmark or the image converter's weights; or the parts of the recipe, whose runs
    have the workdir's own seed and steps."""
    seeds: int = 3
    """Runs of each landmark converter; each image converter has one."""
    landmark_steps: int | None = None
    """Steps of each landmark converter; by default as many as the workdir's own."""
    image_steps: int | None = None
    """Steps of each image converter; by default as many as the workdir's own."""
    data_dir: Path | None = None
    """Folder of the prepared data; by default the one trained from."""
    samples: int = 2_000
    """How many (face, target emotion) pairs each run is measured on."""
    features: Literal["regressor", "inception"] = "regressor"
    """As for evaluate.py: `inception` adds FID."""


@command
def main() -> None:
    """The command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    import dataclasses

    from avlgan_jax.runtime import devices
    from avlgan_jax.training import workdir
    from avlgan_jax.training.ablation import recipe, table_i

    devices.use_compilation_cache(workdir.compiled(arguments.workdir))
    devices.set_up_cpu()
    plan = table_i.AblationPlan(arguments.seeds, arguments.landmark_steps, arguments.image_steps)
    config = workdir.read_config(arguments.workdir)
    if arguments.data_dir is not None:
        config = dataclasses.replace(config, data_dir=os.fspath(arguments.data_dir))
    if arguments.what == "recipe":
        for part in recipe.enabled_parts(config):
            recipe.train(config, arguments.workdir, part)
    else:
        table_i.claim(arguments.workdir, plan)
    if arguments.what in ("table_i", "landmark"):
        table_i.train_landmarks(config, plan, arguments.workdir)
    if arguments.what in ("table_i", "image"):
        for column, value in table_i.image_cells(config):
            table_i.train_image(config, plan, arguments.workdir, column, value)
    run.evaluate(
        run.Arguments(
            arguments.workdir,
            data_dir=arguments.data_dir,
            samples=arguments.samples,
            experiment="recipe" if arguments.what == "recipe" else "table_i",
            features=arguments.features,
        )
    )


if __name__ == "__main__":
    main()
