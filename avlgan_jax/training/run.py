"""Train one of the four models, or all of them in order, on prepared records.

    python train.py all --preset demo --data procedural_faces --workdir runs/demo
    python train.py image --preset modern --data affectnet --workdir runs/affectnet --image.steps 300000

The regressor stands alone; the image converter needs the landmark converter of the same workdir. A run that was
stopped goes on where it was when the same command is given again.
"""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from avlgan_jax.config import MODEL_NAMES, Config
from avlgan_jax.errors import command
from avlgan_jax.presets import PRESETS
from avlgan_jax.runtime import signals
from avlgan_jax.runtime.cluster import Cluster


@dataclass(frozen=True)
class Arguments:
    """Which model to train, from which preset, and where."""

    model: tyro.conf.Positional[Literal["regressor", "landmark", "image", "avgan", "all"]]
    """Model to train; `all` trains the judge, the two converters and avGAN, in the order above."""
    workdir: str
    """Folder of the run: config, checkpoints, metrics, samples. A bucket's path (gs://...) is mirrored locally."""
    config: Annotated[Config, tyro.conf.arg(name="")]
    """What the preset says, changed by the options below."""
    preset: Literal["paper", "modern", "demo", "debug"] = "modern"
    """Where the options below start from."""
    cluster: Annotated[Cluster, tyro.conf.arg(name="")] = field(default_factory=Cluster)
    """Where the processes of one run meet; nothing to say where there is one, or where the scheduler says it."""
    deterministic: tyro.conf.FlagCreatePairsOff[bool] = False
    """On a GPU: the same bits each time, at some cost in speed. A CPU gives them anyway."""
    resume_skip: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on past the step where a number went bad, with other batches from the last good checkpoint up to it."""


@dataclass(frozen=True)
class _PresetOnly:
    preset: Literal["paper", "modern", "demo", "debug"] = "modern"


def parse(arguments: list[str] | None = None) -> Arguments:
    """The command line; a first look finds the preset, whose values are the defaults of all other options."""
    chosen, _ = tyro.cli(_PresetOnly, args=arguments, return_unknown_args=True, add_help=False)
    defaults = tyro.MISSING_NONPROP
    return tyro.cli(
        Arguments,
        description=__doc__,
        args=arguments,
        default=Arguments(model=defaults, workdir=defaults, config=PRESETS[chosen.preset](), preset=chosen.preset),
    )


@command
def main() -> None:
    """The command line."""
    arguments = parse()
    with signals.stop_requests(last=True):
        # Loading JAX takes a second or two, so it comes after the command line has been found to be sound.
        from avlgan_jax.runtime import devices, multihost
        from avlgan_jax.training import buckets, loop, workdir

        if arguments.deterministic:
            devices.deterministic()
        devices.set_up_cpu()
        with multihost.join_cluster(arguments.cluster), contextlib.ExitStack() as stack:
            folder, publish = Path(arguments.workdir), buckets.no_publish
            if multihost.is_first():
                folder, publish = stack.enter_context(buckets.open_workdir(arguments.workdir))
                if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
                    devices.use_compilation_cache(workdir.compiled(folder))
            for name in MODEL_NAMES if arguments.model == "all" else (arguments.model,):
                loop.train(arguments.config, name, folder, arguments.resume_skip, publish)


if __name__ == "__main__":
    main()
