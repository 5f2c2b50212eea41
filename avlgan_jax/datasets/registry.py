"""The builders by data set name.

Importing this module registers them with TFDS, for example for `tfds.load("procedural_faces/64px", ...)`.
"""

from avlgan_jax.datasets.affectnet import affectnet_dataset_builder
from avlgan_jax.datasets.diffusion_fer import diffusion_fer_dataset_builder
from avlgan_jax.datasets.dyads import dyads_dataset_builder
from avlgan_jax.datasets.face_folder import face_folder_dataset_builder
from avlgan_jax.datasets.procedural_faces import procedural_faces_dataset_builder

BUILDERS = {
    "procedural_faces": procedural_faces_dataset_builder.Builder,
    "diffusion_fer": diffusion_fer_dataset_builder.Builder,
    "affectnet": affectnet_dataset_builder.Builder,
    "dyads": dyads_dataset_builder.Builder,
    "face_folder": face_folder_dataset_builder.Builder,
}
