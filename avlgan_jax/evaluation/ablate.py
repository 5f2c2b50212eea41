"""Train variants of a workdir's models for an ablation, and write the report that compares them.

    python ablate.py --workdir runs/demo                    # Table I: four loss weights, each at every value
    python ablate.py --workdir runs/demo --what recipe      # one run without each part of the recipe
    python ablate.py --workdir runs/demo --what comparison  # this recipe and the paper's, with and without landmarks

The landmark converters of Table I train together in one program; all other runs train one after another. To resume an
interrupted run, give the same command again. The report is that of `evaluate.py --experiment table_i` (or `recipe`, or
`comparison`).
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
    """Train variants of a workdir's models for an ablation, and write the report that compares them."""

    workdir: Path
    """Folder of the training run whose config is varied."""
    what: Literal["table_i", "landmark", "image", "recipe", "comparison"] = "table_i"
    """Ablation to train. `table_i`: all of Table I; `landmark`, `image`: only the loss weights of that converter;
    `recipe`: one run without each part of the recipe, with the workdir's own seed and steps; `comparison`: the
    workdir's recipe and the paper's, each as avLandmarkGAN and as avGAN, with several seeds."""
    seeds: int = 3
    """Seeds per landmark converter of Table I, whose image converters have one seed; seeds per model of the
    comparison."""
    landmark_steps: int | None = None
    """Steps of each landmark converter; by default the workdir's own."""
    image_steps: int | None = None
    """Steps of each image converter; by default the workdir's own."""
    data_dir: Path | None = None
    """Folder of the prepared data; by default the one in the workdir's config."""
    samples: int = 2_000
    """Number of (face, target emotion) pairs that each run is evaluated on."""
    split: Literal["validation", "test"] = "validation"
    """Faces that the runs are evaluated on: validation to choose a recipe, test to report one."""
    features: Literal["regressor", "inception"] = "regressor"
    """Features of the distribution scores: `regressor`, or `inception`, which adds FID."""


@command
def main() -> None:
    """Parse the command line, train the runs that are not finished yet, and write the report."""
    arguments = tyro.cli(Arguments, description=__doc__)
    import dataclasses

    from avlgan_jax.config import Config
    from avlgan_jax.runtime import devices
    from avlgan_jax.training import workdir
    from avlgan_jax.training.ablation import comparison, recipe, table_i

    devices.use_compilation_cache(workdir.compiled(arguments.workdir))
    devices.set_up_cpu()
    plan = table_i.AblationPlan(arguments.seeds, arguments.landmark_steps, arguments.image_steps)
    config = workdir.read_config(arguments.workdir)
    # The landmark converters of Table I have no log entries, at which 0 saves.
    config = dataclasses.replace(config, checkpoint_every=config.checkpoint_every or Config.checkpoint_every)
    if arguments.data_dir is not None:
        config = dataclasses.replace(config, data_dir=os.fspath(arguments.data_dir))
    if arguments.what == "recipe":
        for part in recipe.enabled_parts(config):
            recipe.train(config, arguments.workdir, part)
    elif arguments.what == "comparison":
        planned = table_i.planned_config(config, plan)
        comparison.claim(arguments.workdir, planned)
        for seed in range(config.seed, config.seed + arguments.seeds):  # a whole seed first: it can be evaluated
            for model in comparison.MODELS:
                comparison.train(planned, arguments.workdir, model, seed)
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
            split=arguments.split,
            experiment=arguments.what if arguments.what in ("recipe", "comparison") else "table_i",
            features=arguments.features,
        )
    )


if __name__ == "__main__":
    main()
