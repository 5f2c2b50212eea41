"""Training options as typed dataclasses, from which the command line of `train.py` is generated.

One section per model: `regressor`, `landmark` (the landmark converter), `image` (the image converter) and `avgan`.
An invalid value raises UserError when the config is created, before any data is read.

A field's docstring is its help text. It fits on one line, because tyro keeps the line breaks of longer ones.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from avlgan_jax.errors import UserError

AdversarialLoss = Literal["minimax", "nonsaturating", "wgan_gp", "hinge"]
LandmarkBody = Literal["dense", "conv1d"]
Targets = Literal["shuffled", "uniform", "paired"]
ModelName = Literal["regressor", "landmark", "image", "avgan"]
MODEL_NAMES: tuple[ModelName, ...] = ("regressor", "landmark", "image", "avgan")


@dataclass(frozen=True)
class Training:
    """Options common to all four trainings."""

    FEWEST_STEPS = 1  # a constant: without a type it is no field

    steps: int = 400_000
    """Number of training steps."""
    batch_size: int = 16
    """Examples per step, over all devices together."""
    learning_rate: float = 1e-4
    """Initial learning rate of Adam."""
    beta1: float = 0.5
    """Decay rate of Adam's first-moment estimate."""
    beta2: float = 0.999
    """Decay rate of Adam's second-moment estimate."""
    decay: Literal["epoch", "step", "cosine"] = "epoch"
    """Learning-rate schedule over training steps: times `decay_factor` per epoch (paper) or step, or `cosine` to 0."""
    decay_factor: float = 0.99997
    """Factor of the `epoch` and `step` schedules."""
    ema_decay: float = 0.0
    """Decay rate of the moving average of the weights, used for evaluation; 0 evaluates the current weights."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Data type of the image networks' computations. Weights, losses and landmark networks always use float32."""

    def __post_init__(self) -> None:
        _require(self, "steps", self.steps >= self.FEWEST_STEPS, f"at least {self.FEWEST_STEPS}")
        _require(self, "batch_size", self.batch_size >= 1, "at least 1")
        _require(self, "learning_rate", 0 < self.learning_rate < 1, "between 0 and 1")
        _require(self, "beta1", 0 <= self.beta1 < 1, "in [0, 1)")
        _require(self, "beta2", 0 <= self.beta2 < 1, "in [0, 1)")
        _require(self, "decay_factor", 0 < self.decay_factor <= 1, "in (0, 1]")
        _require(self, "ema_decay", 0 <= self.ema_decay < 1, "in [0, 1)")


@dataclass(frozen=True)
class RegressorTraining(Training):
    """Options of the regressor: a ResNet-18 that predicts valence and arousal, trained separately from the GANs."""

    width: int = 64
    """Channels of the first stage; a multiple of 8."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            self,
            "width",
            self.width >= 8 and self.width % 8 == 0,
            "a multiple of 8 (the ResNet-18 has 8 normalisation groups)",
        )


@dataclass(frozen=True)
class AdversarialTraining(Training):
    """Options common to the landmark converter, the image converter and avGAN; equations (5) and (10)."""

    adversarial_loss: AdversarialLoss = "minimax"
    """`minimax` as printed in the paper, `nonsaturating` (same fixed point, does not stall), `wgan_gp` or `hinge`."""
    emotion_weight: float = 5.0
    """Weight lambda_e of the emotion loss."""
    reconstruction_weight: float = 10.0
    """Weight lambda_rec of the cycle reconstruction loss; with 0 the way back is not generated."""
    gradient_penalty: float = 10.0
    """Weight of the gradient penalty; only `wgan_gp` uses it."""
    r1_weight: float = 0.0
    """Weight of the R1 gradient penalty on real data; 0 disables it."""
    d_steps: int = 1
    """Discriminator updates per generator update."""
    # The discriminator's emotion and landmark losses guide the generator only once it can predict both on real faces.
    d_warmup: int = 0
    """Initial steps, which only train the discriminator to predict emotions and landmarks of real faces."""
    d_rate_factor: float = 1.0
    """Ratio of the discriminator's learning rate to the generator's (two time scales, Heusel et al. 2017)."""
    targets: Targets = "shuffled"
    """Target emotions: labels of the batch permuted, drawn from the unit disc, or those of a paired image."""
    paired_weight: float = 0.0
    """Weight of the L1 loss to the paired image or its landmarks; needs targets `paired`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("emotion_weight", "reconstruction_weight", "gradient_penalty", "r1_weight", "paired_weight"):
            _require(self, name, getattr(self, name) >= 0, "0 or more")
        _require(self, "paired_weight", not self.paired_weight or self.targets == "paired", "0 without paired targets")
        _require(self, "d_steps", self.d_steps >= 1, "at least 1")
        _require(self, "d_warmup", self.d_warmup >= 0, "0 or more")
        _require(self, "d_rate_factor", self.d_rate_factor > 0, "above 0")


@dataclass(frozen=True)
class LandmarkTraining(AdversarialTraining):
    """Options of the landmark converter: generator G_l and discriminator D_l of Section III-A."""

    centre_weight: float = 10.0
    """Weight lambda_ffc of the face feature centre loss, equation (4)."""
    body: LandmarkBody = "dense"
    """`dense` layers over the 136 coordinates (204 in 3-D), or `conv1d` convolutions over the 68 points."""
    residual: bool = False
    """Generate a displacement of the source landmarks instead of the landmarks themselves."""
    width: int = 256
    """Units (`dense`) or channels (`conv1d`) of each hidden layer."""
    blocks: int = 3
    """Residual blocks of the generator."""
    d_layers: int = 4
    """Hidden layers of the discriminator."""
    vary_proportions: float = 0.0
    """Strength of random proportions of the landmarks: 0 (none) to 2. 1 makes drawn faces as varied as people are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "centre_weight", self.centre_weight >= 0, "0 or more")
        _require(self, "vary_proportions", 0 <= self.vary_proportions <= 2, "from 0 to 2")
        _require(self, "precision", self.precision == "float32", "'float32': the landmark converter has no other")
        for name in ("width", "blocks", "d_layers"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")


@dataclass(frozen=True)
class ImageTraining(AdversarialTraining):
    """Options of an image converter: generator G_i and discriminator D_i of Section III-B, or avGAN."""

    FEWEST_STEPS = 0  # avGAN may be left out; `Config` refuses 0 steps of the image converter

    use_landmarks: bool = True
    """Condition the generator on landmarks and let the discriminator predict them. Must be False for avGAN."""
    discriminator: Literal["patch", "resnet18"] = "patch"
    """`patch`: StarGAN's stack of 4x4 stride-2 convolutions. `resnet18`: avGAN's; it predicts no landmarks."""
    landmark_weight: float = 10.0
    """Weight lambda_l of the landmark loss, equation (8)."""
    rematerialise: bool = False
    """Recompute the generator's activations in the backward pass instead of storing them: less memory, slower."""
    masked: bool = False
    """Generate an image and a mask that blends it with the source, instead of the output image itself."""
    warped: bool = False
    """Move the source's pixels with the landmarks first, and paint only what is new, with a mask as `masked`."""
    paired_feature_weight: float = 0.0
    """How much more a pixel of mouth or eyes counts in the paired loss, added to 1; needs `warped`."""
    mask_weight: float = 0.0
    """Weight of the loss on the mean of the mask; only `masked` and `warped` use it."""
    g_landmark_factor: float = 1.0
    """Factor of lambda_l in the generator's loss; with 0 only the discriminator learns landmarks."""
    read_blurred: bool = False
    """Let the discriminator predict emotions and landmarks from blurred images: single pixels then cannot please it."""
    width: int = 64
    """Channels of the generator's first layer."""
    blocks: int = 6
    """Residual blocks of the generator."""
    d_width: int = 64
    """Channels of the discriminator's first layer; for `resnet18` a multiple of 8."""
    d_layers: int = 6
    """Layers of the `patch` discriminator; each halves the image side."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("landmark_weight", "g_landmark_factor", "mask_weight", "paired_feature_weight"):
            _require(self, name, getattr(self, name) >= 0, "0 or more")
        for name in ("width", "blocks", "d_width", "d_layers"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        _require(self, "warped", not (self.warped and self.masked), "False with masked: it has a mask of its own")
        _require(self, "warped", self.use_landmarks or not self.warped, "False without landmarks")
        _require(self, "paired_feature_weight", self.warped or not self.paired_feature_weight, "0 without warped")
        _require(
            self,
            "use_landmarks",
            not (self.use_landmarks and self.discriminator == "resnet18"),
            "False with the resnet18 discriminator, which predicts no landmarks",
        )
        grouped = self.discriminator != "resnet18" or self.d_width % 8 == 0
        _require(self, "d_width", grouped, "a multiple of 8 (resnet18 has 8 normalisation groups)")


@dataclass(frozen=True)
class Config:
    """Options of an experiment: four models, trained on one data set at one resolution."""

    data: str = "procedural_faces"
    """Name of the data set to train on, prepared with prepare.py; or several with a plus between, in equal shares."""
    data_dir: str = "data"
    """Folder of the prepared records, or a bucket (gs://...)."""
    seed: int = 0
    """Seed of the initial weights, batch order, mirroring, augmentation and target emotions."""
    initial: str = ""
    """Workdir of an earlier run, on any data: gives the initial weights, and the models that are not trained here."""
    resolution: int = 128
    """Side of the images in pixels. Records of this resolution must have been prepared."""
    # 3 is the variant of Section IV-A, "we replaced all the landmarks in the model with 3D ones". The records must have
    # the feature `landmarks_3d`.
    landmark_dimensions: Literal[2, 3] = 2
    """Coordinates per landmark. 3 needs procedural_faces, or photographs prepared with `--landmarks fan3d`."""
    # Without augmentation, a discriminator overfits a data set of a few hundred faces.
    augment: float = 0.0
    """Strength of random rotation, shift, zoom and lighting: 0 (none) to 3; 1 suits a few hundred faces."""
    regressor: RegressorTraining = field(default_factory=RegressorTraining)
    """The regressor, which predicts the valence and arousal of a face. It evaluates the other models."""
    landmark: LandmarkTraining = field(default_factory=LandmarkTraining)
    """The landmark converter, which moves 68 landmarks to a target emotion."""
    image: ImageTraining = field(default_factory=ImageTraining)
    """The image converter, which edits a face image to a target emotion and target landmarks."""
    avgan: ImageTraining = field(default_factory=lambda: ImageTraining(use_landmarks=False, discriminator="resnet18"))
    """avGAN, the baseline without landmarks. With 0 steps it is not trained, and evaluation leaves it out."""
    # A CPU has one device per core. The landmark converter is faster on one CPU device than on two.
    devices: int = 0
    """Number of devices. 0: as many as divide the batch size, but 1 for the landmark converter on a CPU."""
    steps_per_dispatch: int = 0
    """Training steps per call of the compiled program. 0: 20, but 1 for models of images on a CPU."""
    # A step then transfers only the indices of its faces.
    data_on_device: Literal["auto", "yes", "no"] = "auto"
    """Keep all training faces on each device. `auto`: on accelerators, if they fill at most 1/4 of the memory."""
    loader_threads: int = 0
    """Threads that prepare batches, with the same results. 0: 1 on a CPU, else half of the cores, at most 8."""
    log_every: int = 100
    """Steps between log entries in metrics.jsonl and TensorBoard."""
    checkpoint_every: int = 2_000
    """Steps between checkpoints. 0: one at each log entry, unless the last one is still being written."""
    keep_checkpoints: int = 3
    """Number of latest checkpoints to keep, in addition to the best one."""
    sample_every: int = 5_000
    """Steps between evaluations on validation faces; converters also save a sample grid."""

    def __post_init__(self) -> None:
        _require(self, "resolution", self.resolution >= 16 and self.resolution % 4 == 0, "a multiple of 4, at least 16")
        _require(self, "augment", 0 <= self.augment <= 3, "in [0, 3]")
        _require(self, "devices", self.devices >= 0, "0 (automatic) or more")
        _require(self, "steps_per_dispatch", self.steps_per_dispatch >= 0, "0 (automatic) or more")
        for name, strength in (("augment", self.augment), ("vary_proportions", self.landmark.vary_proportions)):
            if strength and self.data_on_device == "yes":
                raise UserError(
                    f"data_on_device is 'yes' and {name} is {strength}: the host changes the faces; set "
                    f"data_on_device to 'auto', or {name} to 0"
                )
        for name in ("log_every", "keep_checkpoints", "sample_every"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        _require(self, "loader_threads", self.loader_threads >= 0, "0 (automatic) or more")
        _require(self, "checkpoint_every", self.checkpoint_every >= 0, "0 (as often as the disk allows) or more")
        _require(self.image, "steps", self.image.steps >= 1, "at least 1")
        if self.avgan.use_landmarks:
            raise UserError("avgan.use_landmarks is True: avGAN is the baseline without landmarks; set it to False")
        for name in ("image", "avgan"):
            section = getattr(self, name)
            smallest = 2**section.d_layers
            if section.discriminator == "patch" and self.resolution < smallest:
                raise UserError(
                    f"{name}.d_layers is {section.d_layers}: each layer halves the image side, so {self.resolution} px "
                    f"allow at most {self.resolution.bit_length() - 1} layers"
                )

    @property
    def trained_models(self) -> tuple[ModelName, ...]:
        """Names of the models that the run trains, in order: all of MODEL_NAMES, or without avGAN."""
        return tuple(name for name in MODEL_NAMES if getattr(self, name).steps)


def _require(section: object, name: str, holds: bool, expected: str) -> None:
    """Raise UserError unless the value of field `name` `holds`."""
    if not holds:
        kind = type(section).__name__
        raise UserError(f"{name} is {getattr(section, name)!r} in {kind}: expected {expected}")


# Fields that may differ between runs of one experiment: they change how training runs, not what it computes.
OPERATIONAL = frozenset(
    {
        "data_dir",
        "devices",
        "steps_per_dispatch",
        "data_on_device",
        "loader_threads",
        "log_every",
        "checkpoint_every",
        "keep_checkpoints",
        "sample_every",
    }
)


def to_json(config: Config) -> str:
    """Return the config as indented JSON that ends with a newline."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str, where: Path | str) -> Config:
    """Return the config that `to_json` wrote as `text`. Fields that `text` lacks get their defaults.

    Args:
        text: The JSON text.
        where: The file that holds `text`, for the error message.

    Raises:
        UserError: If `text` is not valid JSON, has an unknown field, or has a value of the wrong type or out of range.
    """
    try:
        fields = json.loads(text)
        sections = {
            "regressor": RegressorTraining,
            "landmark": LandmarkTraining,
            "image": ImageTraining,
            "avgan": ImageTraining,
        }
        built = {name: _typed(sections[name], fields[name]) for name in sections if name in fields}
        return _typed(Config, fields | built)
    except (ValueError, TypeError, AttributeError, RecursionError, UserError) as error:
        raise UserError(f"{where} is not a valid config of this version ({error}); choose another workdir") from error


def _typed(kind: type, values: dict):
    """Return `kind(**values)` after checking the types of `values`; the dataclass `kind` itself checks their ranges."""
    for name, hint in get_type_hints(kind).items():
        value = values.get(name)
        if get_origin(hint) is Literal:
            valid = any(value == choice and type(value) is type(choice) for choice in get_args(hint))
        else:
            valid = type(value) is hint or (hint is float and type(value) is int)
        if name in values and not valid:
            raise TypeError(f"{name} is {value!r}, which has the wrong type or is not one of its choices")
    return kind(**values)


def differences(ours: Config, theirs: Config) -> list[str]:
    """Return the fields that differ between two experiments, each as "NAME: OURS here, THEIRS there".

    Operational fields are ignored. So are the models' numbers of steps, because a run may be extended; they count
    with the `cosine` schedule, whose learning rate depends on them, and where avGAN, trained there, is left out here.
    Where avGAN was left out there, it may have any options here.
    """
    flat_ours, flat_theirs = _flatten(dataclasses.asdict(ours)), _flatten(dataclasses.asdict(theirs))
    found = []
    for name, value in flat_ours.items():
        section = name.rpartition(".")[0]
        extended = name.endswith(".steps") and value and flat_ours[f"{section}.decay"] != "cosine"
        added = section == "avgan" and not theirs.avgan.steps
        if name not in OPERATIONAL and not extended and not added and value != flat_theirs[name]:
            found.append(f"{name}: {value!r} here, {flat_theirs[name]!r} there")
    return found


def digest(config: Config) -> str:
    """Return the identity of an experiment: a digest of its non-operational fields, 16 hexadecimal digits."""
    kept = {k: v for k, v in dataclasses.asdict(config).items() if k not in OPERATIONAL}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _flatten(tree: dict, prefix: str = "") -> dict[str, object]:
    """Return the leaves of a nested dictionary by their dotted names."""
    flat = {}
    for name, value in tree.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
