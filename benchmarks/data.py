"""Rates of preparing photographs on one core, and the effect of image storage on a Fréchet distance.

    python -m benchmarks.data              decoding, cropping, encoding, dlib, storage
    python -m benchmarks.data --fan        also FAN and its face detector, with random weights of the real size

Rates are for one process with one thread, relative to the processor time that it used, so other processes have little
effect. Drawn faces of 224 pixels replace photographs; crops have 128 pixels.
"""

import argparse
import io
import os
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

import numpy as np
from PIL import Image

from avlgan_jax.datasets import features
from avlgan_jax.evaluation import metrics
from avlgan_jax.faces import crop, pictures, procedural
from avlgan_jax.faces.detectors.dlib import Dlib

AFFECTNET = 291_650  # images of the newer release, training and validation
RESOLUTION = 128


def rate(work, items, seconds: float = 3.0) -> float:
    """Return the number of items processed per second of processor time.

    Args:
        work: Function to call with one item.
        items: The items, used in turn; the first is also processed once before the measurement.
        seconds: Duration of the measurement, in processor time.
    """
    work(items[0])
    done, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        work(items[done % len(items)])
        done += 1
    return done / (time.process_time() - start)


def faces(count: int, side: int) -> list[procedural.Rendering]:
    """Return drawn faces of side `side` pixels, each with a different emotion."""
    generator = np.random.default_rng(0)
    return [
        procedural.render(
            procedural.sample_face(0, i, 0, i % 10 == 0), *map(float, procedural.sample_emotion(generator)), side
        )
        for i in range(count)
    ]


def random_features(images: list[np.ndarray], width: int = 64) -> np.ndarray:
    """Return features (images, width) that depend on fine texture.

    They are the mean and the standard deviation, over the image, of a fixed random 5x5 convolution after a ReLU.
    """
    kernel = np.random.default_rng(7).normal(size=(75, width // 2)) / 75**0.5
    rows = []
    for image in images:
        windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float32) / 127.5 - 1.0, (5, 5), axis=(0, 1))
        response = np.maximum(windows[::2, ::2].reshape(-1, 75) @ kernel, 0.0)
        rows.append(np.concatenate([response.mean(axis=0), response.std(axis=0)]))
    return np.array(rows)


def stored(image: np.ndarray, **options) -> np.ndarray:
    """Return the image after saving it with Pillow's `options` and reading it back."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, **options)
    return np.asarray(Image.open(stream).convert("RGB"))


def storage() -> None:
    """Print the Fréchet distance between 400 crops and the same crops stored in several formats."""
    drawn = [face.image for face in faces(800, RESOLUTION)]
    crops, others = drawn[:400], drawn[400:]
    truth = metrics.moments(random_features(crops))
    print(f"Fréchet distance (random features) of {len(crops)} crops to themselves after storing:")
    for name, options in (
        ("PNG, as here", {"format": "png"}),
        ("JPEG quality 95, 4:4:4", {"format": "jpeg", "quality": 95, "subsampling": 0}),
        ("JPEG quality 95, 4:2:0", {"format": "jpeg", "quality": 95}),
        ("JPEG quality 75, 4:2:0", {"format": "jpeg", "quality": 75}),
    ):
        other = random_features([stored(image, **options) for image in crops])
        print(f"  {name:<24} {metrics.frechet_distance(truth, metrics.moments(other)):.1e}")
    sampling = metrics.frechet_distance(truth, metrics.moments(random_features(others)))
    print(f"  {'to 400 other faces':<24} {sampling:.1e}")


def fan_rates(photographs: list[procedural.Rendering]) -> list[tuple[str, float]]:
    """Return the rates of FAN and of S3FD's network, by name, both with random weights of the real size."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCH_HOME"] = folder
        from face_alignment.detection.sfd.net_s3fd import s3fd
        from face_alignment.models import FAN

        from avlgan_jax.faces.detectors.fan import Fan

        checkpoints = os.path.join(folder, "hub", "checkpoints")
        os.makedirs(checkpoints)
        torch.save(FAN(4).state_dict(), os.path.join(checkpoints, Fan.networks[0]))
        detector = Fan("dlib")
    finder, pixels = s3fd().eval(), torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        sfd = rate(lambda _: finder(pixels), [None], 10.0)
    return [
        ("FAN, flipped pass included", rate(lambda f: detector.detect([f.image]), photographs, 20.0)),
        ("S3FD", sfd),
    ]


def main() -> None:
    """Measure and print the rates and the distances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fan", action="store_true", help="also measure FAN and S3FD (takes about a minute)")
    arguments = parser.parse_args()
    photographs = faces(16, 224)
    squares = [crop.square_around(face.landmarks, face.image.shape) for face in photographs]
    cropped = [crop.crop_square(f.image, s, RESOLUTION) for f, s in zip(photographs, squares, strict=True)]
    jpegs = []
    for face in photographs:
        stream = io.BytesIO()
        Image.fromarray(face.image).save(stream, format="jpeg", quality=95)
        jpegs.append(stream.getvalue())
    dlib = Dlib()
    rates = [
        ("decode a JPEG of 224 px", rate(lambda jpeg: pictures.decode(jpeg, "a face"), jpegs)),
        (
            "crop to 128 px",
            rate(
                lambda p: crop.crop_square(p[0].image, p[1], RESOLUTION), list(zip(photographs, squares, strict=True))
            ),
        ),
        ("encode PNG", rate(features.encode_png, cropped)),
        ("dlib, face and landmarks", rate(lambda face: dlib.detect([face.image]), photographs)),
    ]
    rates += fan_rates(photographs) if arguments.fan else []
    print(f"{'one core':<28}{'images/s':>10}{'AffectNet on 16 cores':>24}")
    for name, per_second in rates:
        print(f"{name:<28}{per_second:>10.1f}{AFFECTNET / per_second / 16 / 3600:>22.2f} h")
    storage()


if __name__ == "__main__":
    main()
