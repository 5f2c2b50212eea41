"""TFDS builders, one folder each. Importing this package registers them: `tfds.load("procedural_faces/64px", ...)`."""

from datasets.diffusion_fer import diffusion_fer_dataset_builder
from datasets.procedural_faces import procedural_faces_dataset_builder

BUILDERS = {
    "procedural_faces": procedural_faces_dataset_builder.Builder,
    "diffusion_fer": diffusion_fer_dataset_builder.Builder,
}
