"""Benchmarks of generation and of the Fréchet distance, compared with PyTorch and with pytorch-fid's method."""

import functools
from collections.abc import Callable, Iterator

import jax
import numpy as np

from avlgan_jax.config import Config
from avlgan_jax.evaluation import inception, metrics
from avlgan_jax.models import inference
from avlgan_jax.models.inference import NetworkParameters, Trained
from avlgan_jax.training import states
from benchmarks.timing import Case, Setting, alternate
from benchmarks.training import IMAGE_CASES, TINY, configured, drawn


def random_models(config: Config) -> tuple[Trained, Trained, NetworkParameters]:
    """Return the models of a config with random weights.

    Returns:
        The models on all devices, for many images at once; the models on one device, for a single image; the weights.
    """
    weights = drawn(states.weight_shapes(config))
    many = inference.assemble(config, weights, {}, devices=jax.local_devices())
    return many, inference.assemble(config, weights, {}, sizes=(1,)), weights


def faces(count: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return random images of side `side`, landmarks in pixels, (count, 68, 2), and target emotions, (count, 2)."""
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (count, side, side, 3), np.uint8)
    landmarks = generator.uniform(0.1 * side, 0.9 * side, (count, 68, 2)).astype(np.float32)
    return images, landmarks, generator.uniform(-0.7, 0.7, (count, 2)).astype(np.float32)


def their_converter(config: Config, weights: NetworkParameters, device: str, best: bool) -> Callable[..., np.ndarray]:
    """Return avLandmarkGAN in PyTorch as a function of NumPy arrays (images, landmarks, emotions) that returns images.

    Args:
        config: The config of the networks.
        weights: JAX weights to copy.
        device: PyTorch's name of the device.
        best: Whether to use the form `best` of `pytorch.reference` instead of `eager`.
    """
    import torch

    from benchmarks.pytorch import networks

    paint = networks.ImageGenerator(config.image.width, config.image.blocks)
    move = networks.LandmarkGenerator(config.landmark.width, config.landmark.blocks)
    networks.carry_over(paint, weights["image"])
    networks.carry_over(move, weights["landmark"])
    layout = torch.channels_last if best else torch.contiguous_format
    paint, move = paint.to(device, memory_format=layout), move.to(device)
    half = best and device == "cuda"
    network = torch.compile(paint) if half else paint

    @torch.inference_mode()
    def convert(images: np.ndarray, landmarks: np.ndarray, emotions: np.ndarray) -> np.ndarray:
        outputs = []
        for start in range(0, len(images), inference.ROWS_PER_DEVICE):
            part = [
                torch.from_numpy(a[start : start + inference.ROWS_PER_DEVICE]).to(device)
                for a in (images, landmarks, emotions)
            ]
            source = (part[0].permute(0, 3, 1, 2).float() / 127.5 - 1.0).contiguous(memory_format=layout)
            moved = move(part[1] * (2.0 / config.resolution) - 1.0, networks.Condition(part[2])).output
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                painted = network(source, networks.Condition(part[2], moved)).output
            pixels = ((painted + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
            outputs.append(pixels.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(outputs)

    return convert


def generation(setting: Setting) -> Iterator[Case]:
    """Yield the rate of avLandmarkGAN on many images at once, and its time for a single image."""
    cases = [TINY] if setting.tiny else IMAGE_CASES[setting.device]
    if setting.device == "cpu":  # 256 images of 128 px would take a minute and a half on two cores
        cases = [case for case in cases if case[0] < 128]
    for side, width in dict.fromkeys((side, width) for side, width, _ in cases):
        config = configured(side, width, 16)
        many, single, weights = random_models(config)
        theirs = {
            "pytorch eager": their_converter(config, weights, setting.torch_device, best=False),
            "pytorch best": their_converter(config, weights, setting.torch_device, best=True),
        }
        chunks = {"cpu": 2, "gpu": 16}[setting.device]
        for name, models, count, unit in (
            ("many", many, 4 if setting.tiny else chunks * inference.ROWS_PER_DEVICE, "images/s"),
            ("one image", single, 1, "s"),
        ):
            inputs = faces(count, side)
            contenders = {"ours": models.convert["avlandmarkgan"], **theirs}
            calls = {contender: functools.partial(call, *inputs) for contender, call in contenders.items()}
            measured = alternate(calls, rounds=setting.rounds, unit=unit, items=count)
            yield Case(f"{side} px, width {width}, {name}", measured)


def frechet(setting: Setting) -> Iterator[Case]:
    """Yield the rate of Inception's features, and the time of the distance between two sets of 10,000 vectors."""
    import torch
    from torch.nn import functional as F

    from benchmarks.inception_pytorch import random_inception

    count = (
        1
        if setting.tiny
        else {"cpu": inception.PICTURES_PER_DEVICE * jax.local_device_count(), "gpu": 1024}[setting.device]
    )
    images, *_ = faces(count, 32 if setting.tiny else 128)
    network = random_inception(seed=0)
    state = {name: np.asarray(tensor, np.float64) for name, tensor in network.state_dict().items()}
    ours = inception.extractor(inception.from_torch(state), "legacy", jax.local_devices())
    network = network.to(setting.torch_device)

    @torch.inference_mode()
    def theirs() -> np.ndarray:
        parts = []
        for start in range(0, count, 50):  # the batch size of pytorch-fid
            part = torch.from_numpy(images[start : start + 50]).to(setting.torch_device).permute(0, 3, 1, 2) / 255.0
            sized = F.interpolate(part, size=(inception.SIDE, inception.SIDE), mode="bilinear", align_corners=False)
            parts.append(network(2.0 * sized - 1.0)["features"].cpu().numpy())
        return np.concatenate(parts)

    contenders = {"ours": lambda: ours(images), "pytorch eager": theirs}
    measured = alternate(contenders, rounds=min(setting.rounds, 3), unit="images/s", items=count)
    yield Case("features of Inception", measured)

    width, vectors = (32, 100) if setting.tiny else (2048, 10_000)
    generator = np.random.default_rng(0)
    sets = [generator.normal(size=(vectors, width)) @ generator.normal(size=(width, width)) for _ in range(2)]
    moments = [metrics.moments(features) for features in sets]
    contenders = {
        "ours": lambda: metrics.frechet_distance(*moments),
        "pytorch-fid's way": lambda: by_matrix_root(*moments),
    }
    yield Case(f"distance in {width} dimensions", alternate(contenders, rounds=1, unit="s"))


def by_matrix_root(a: metrics.Moments, b: metrics.Moments) -> float:
    """Return the Fréchet distance by the square root of the product of the covariances, as pytorch-fid computes it."""
    from scipy.linalg import sqrtm

    root = sqrtm(a.covariance @ b.covariance)
    apart = np.sum(np.square(a.mean - b.mean))
    return float(apart + np.trace(a.covariance) + np.trace(b.covariance) - 2.0 * np.trace(root).real)
