"""Make a bundle of weights from a training run, to use and to hand on.

    python -m avlgan_jax.editing.export runs/demo --out avlgan_jax/weights/procedural48

The bundle holds the weights as float16 safetensors, the config, a model card, and `edit.jaxexport`: the two converters
as one program that runs with jax alone (see the card).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from avlgan_jax.errors import command

PLATFORMS = ("cpu", "cuda", "tpu")
_ROWS = (
    ("avlandmarkgan", "avLandmarkGAN"),
    ("avgan", "avGAN"),
    ("do_nothing", "doing nothing"),
    ("regressor", "the regressor on real faces"),
)


@dataclass(frozen=True)
class Arguments:
    """What to export, and where to."""

    workdir: tyro.conf.Positional[Path]
    """Folder of the training run."""
    out: Path
    """Folder of the bundle; a bundle that is there is replaced."""
    name: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """What the model card calls it; by default the folder's name."""


def export_program(config, weights) -> bytes:
    """The two converters as a serialised `jax.export` program with their weights inside.

    (images uint8 (n, R, R, 3), landmarks float32 (n, 68, d) in pixels, emotions float32 (n, 2)) -> (images, landmarks),
    for any n, on any of PLATFORMS; d is the config's `landmark_dimensions`.
    """
    import jax
    import jax.numpy as jnp
    from jax import export

    from avlgan_jax.models.inference import Networks

    networks = Networks(config)
    half = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float16), {k: weights[k] for k in ("landmark", "image")})

    def edit(images, landmarks, emotions):
        # Rounded once more, so that the program computes with what the safetensors file holds.
        whole = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), half)
        return networks.avlandmarkgan(whole, images, landmarks, emotions)

    # A program names the lines it comes from: by their files, and not by where those lie on this machine.
    jax.config.update("jax_hlo_source_file_canonicalization_regex", ".*/")
    (n,) = export.symbolic_shape("n")
    side = config.resolution
    shapes = (
        jax.ShapeDtypeStruct((n, side, side, 3), jnp.uint8),
        jax.ShapeDtypeStruct((n, 68, config.landmark_dimensions), jnp.float32),
        jax.ShapeDtypeStruct((n, 2), jnp.float32),
    )
    return export.export(jax.jit(edit), platforms=PLATFORMS)(*shapes).serialize()


def model_card(bundle, name: str) -> str:
    """The model card, in Markdown."""
    import jinja2

    from avlgan_jax.models.inference import parameter_counts

    text = (Path(__file__).with_name("templates") / "card.md").read_text()
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(text)
    return page.render(
        name=name,
        bundle=bundle,
        config=bundle.config,
        scores=bundle.scores,
        rows=_ROWS,
        counts=parameter_counts(bundle.weights),
    )


@command
def main() -> None:
    """The command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    from avlgan_jax.editing.bundle import of_workdir, write

    found = of_workdir(arguments.workdir)
    name = arguments.name or arguments.out.absolute().name
    write(arguments.out, found, model_card(found, name), export_program(found.config, found.weights))
    size = sum(path.stat().st_size for path in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 1e6:.1f} MB, trained on {found.trained_on}")


if __name__ == "__main__":
    main()
