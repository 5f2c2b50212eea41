"""Train one of the four models, or all of them in order, on prepared records.

    python train.py all --preset demo --data procedural_faces --workdir runs/demo
    python train.py image --preset modern --data affectnet --workdir runs/affectnet --image.steps 300000

The image converter needs a trained landmark converter in the same workdir; the other models need none. To resume a
stopped run, repeat the command. avGAN, the baseline, is left out where `--avgan.steps` is 0, and may be trained later.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from avlgan_jax.config import Config, ModelName
from avlgan_jax.errors import UserError, command, command_line
from avlgan_jax.presets import PRESETS
from avlgan_jax.runtime import signals
from avlgan_jax.runtime.cluster import Cluster

LEFT_OUT = (
    f"avGAN is left out, because avgan.steps is 0; to train it: {command_line('train')} avgan ... --avgan.steps N"
)


@dataclass(frozen=True)
class Arguments:
    """Options of the training command."""

    model: tyro.conf.Positional[Literal["regressor", "landmark", "image", "avgan", "all"]]
    """Model to train; `all` trains the regressor, the two converters and, unless it is left out, avGAN."""
    workdir: str
    """Folder of the run: config, checkpoints, metrics, samples. A bucket (gs://...) is mirrored locally."""
    config: Annotated[Config, tyro.conf.arg(name="")]
    """Config of the preset, changed by the options below."""
    preset: Literal["paper", "modern", "demo", "paired", "photographs", "debug"] = "modern"
    """Preset that sets the defaults of the options below."""
    cluster: Annotated[Cluster, tyro.conf.arg(name="")] = field(default_factory=Cluster)
    """How the processes of one run connect. Not needed for one process, or if the scheduler sets it."""
    deterministic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Bitwise reproducible results on a GPU, at some cost in speed. A CPU is always reproducible."""
    resume_skip: tyro.conf.FlagCreatePairsOff[bool] = False
    """Resume after a metric that was not finite: use other batches from the last good checkpoint up to that step."""


@dataclass(frozen=True)
class _PresetOnly:
    """The preset option alone, parsed first."""

    preset: Literal["paper", "modern", "demo", "paired", "photographs", "debug"] = "modern"


def parse(arguments: list[str] | None = None) -> Arguments:
    """Parse the command line.

    The preset is parsed first, since its values are the defaults of all other options.

    Args:
        arguments: Arguments to parse; None takes those of the process.

    Raises:
        UserError: An option has a value that the config refuses.
    """
    chosen, _ = tyro.cli(_PresetOnly, args=arguments, return_unknown_args=True, add_help=False)
    defaults = tyro.MISSING_NONPROP
    return tyro.cli(
        Arguments,
        description=__doc__,
        args=arguments,
        default=Arguments(model=defaults, workdir=defaults, config=PRESETS[chosen.preset](), preset=chosen.preset),
    )


def _models_to_train(arguments: Arguments) -> tuple[ModelName, ...]:
    """Return the names of the models to train.

    Raises:
        UserError: The only model to train is one that the config leaves out.
    """
    trained = arguments.config.trained_models
    if arguments.model == "all":
        return trained
    if arguments.model not in trained:
        raise UserError(LEFT_OUT)
    return (arguments.model,)


@command
def main() -> None:
    """Run the command line."""
    arguments = parse()
    names = _models_to_train(arguments)
    with signals.stop_requests(last=True):
        # Importing JAX takes a second or two, so it follows the check of the command line.
        from avlgan_jax.runtime import devices, multihost
        from avlgan_jax.training import buckets, loop, workdir

        if arguments.deterministic:
            devices.deterministic()
        devices.set_up_cpu()
        with multihost.join_cluster(arguments.cluster), contextlib.ExitStack() as stack:
            folder, publish = Path(arguments.workdir), buckets.no_publish
            if multihost.is_first():
                if arguments.model == "all" and "avgan" not in names:
                    print(LEFT_OUT)
                folder, publish = stack.enter_context(buckets.open_workdir(arguments.workdir))
                devices.use_compilation_cache(workdir.compiled(folder))
            for name in names:
                loop.train(arguments.config, name, folder, arguments.resume_skip, publish)


if __name__ == "__main__":
    main()
