"""Every choice a person can make about training, typed and described, with presets; the command line comes from it.

Sections follow the models: `regressor`, `landmark` (the landmark converter), `image` (the image converter), `avgan`.
A value that cannot work is refused here, before anything is loaded.
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
Targets = Literal["shuffled", "uniform"]
ModelName = Literal["regressor", "landmark", "image", "avgan"]
MODEL_NAMES: tuple[ModelName, ...] = ("regressor", "landmark", "image", "avgan")


@dataclass(frozen=True)
class Training:
    """What every model's training has."""

    steps: int = 400_000
    """Steps to train."""
    batch_size: int = 16
    """Examples in a step, over all devices together."""
    learning_rate: float = 1e-4
    """Adam's learning rate."""
    beta1: float = 0.5
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    decay: Literal["epoch", "step", "cosine"] = "epoch"
    """The rate falls by `decay_factor` per epoch (the paper, as printed) or per step, or to zero along a cosine."""
    decay_factor: float = 0.99997
    """Factor of the exponential decays."""
    ema_decay: float = 0.0
    """Averaging of the weights that are evaluated, per step; 0 evaluates the last weights."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type in which the convolutions compute; weights and losses are float32 always."""

    def __post_init__(self) -> None:
        _require(self, "steps", self.steps >= 1, "at least 1")
        _require(self, "batch_size", self.batch_size >= 1, "at least 1")
        _require(self, "learning_rate", 0 < self.learning_rate < 1, "between 0 and 1")
        _require(self, "beta1", 0 <= self.beta1 < 1, "in [0, 1)")
        _require(self, "beta2", 0 <= self.beta2 < 1, "in [0, 1)")
        _require(self, "decay_factor", 0 < self.decay_factor <= 1, "in (0, 1]")
        _require(self, "ema_decay", 0 <= self.ema_decay < 1, "in [0, 1)")


@dataclass(frozen=True)
class RegressorTraining(Training):
    """The judge: a ResNet-18 that reads valence and arousal, trained apart from every GAN."""

    width: int = 64
    """Channels of the first stage."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "width", self.width >= 8 and self.width % 8 == 0, "a multiple of 8 (its group norms)")


@dataclass(frozen=True)
class AdversarialTraining(Training):
    """What the landmark converter, the image converter and avGAN have in common: equations (5) and (10)."""

    adversarial_loss: AdversarialLoss = "minimax"
    """`minimax` is the paper's, as printed; `nonsaturating` has the same fixed point and does not stall."""
    emotion_weight: float = 5.0
    """lambda_e of the emotion loss."""
    reconstruction_weight: float = 10.0
    """lambda_rec of the cycle."""
    gradient_penalty: float = 10.0
    """Weight of the Wasserstein penalty; only `wgan_gp` uses it."""
    r1_weight: float = 0.0
    """Weight of the R1 penalty on real data; 0 leaves it out."""
    d_steps: int = 1
    """Discriminator steps for each generator step."""
    d_warmup: int = 0
    """Steps at the start in which the discriminator only learns to read emotions and landmarks from real faces, so that
    what it then asks for means something."""
    d_rate_factor: float = 1.0
    """Learning rate of the discriminator over the generator's (two time scales, Heusel et al. 2017)."""
    targets: Targets = "shuffled"
    """Target emotions: the batch's own labels in another order, or spread evenly over the disc."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("emotion_weight", "reconstruction_weight", "gradient_penalty", "r1_weight"):
            _require(self, name, getattr(self, name) >= 0, "0 or more")
        _require(self, "d_steps", self.d_steps >= 1, "at least 1")
        _require(self, "d_warmup", self.d_warmup >= 0, "0 or more")
        _require(self, "d_rate_factor", self.d_rate_factor > 0, "above 0")


@dataclass(frozen=True)
class LandmarkTraining(AdversarialTraining):
    """The landmark converter G_l, D_l, Section III-A."""

    centre_weight: float = 10.0
    """lambda_ffc of the face feature centre loss, equation (4)."""
    body: LandmarkBody = "dense"
    """A dense network over the 136 numbers (204 of 3-D landmarks), or a 1-D convolution over the 68 points."""
    residual: bool = False
    """The generator gives a displacement of the source instead of the landmarks themselves."""
    width: int = 256
    """Units of each layer."""
    blocks: int = 3
    """Residual blocks of the generator."""
    d_layers: int = 4
    """Layers of the discriminator before its heads."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "centre_weight", self.centre_weight >= 0, "0 or more")
        for name in ("width", "blocks", "d_layers"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")


@dataclass(frozen=True)
class ImageTraining(AdversarialTraining):
    """An image converter: G_i, D_i of Section III-B, or avGAN."""

    use_landmarks: bool = True
    """Condition on landmarks and let the discriminator read them; avGAN does not."""
    discriminator: Literal["patch", "resnet18"] = "patch"
    """StarGAN's stack of 4x4 stride-2 layers, or avGAN's ResNet-18 (which cannot read landmarks)."""
    landmark_weight: float = 10.0
    """lambda_l of the landmark loss, equation (8)."""
    rematerialise: bool = False
    """Compute the generator's activations again for its gradient instead of keeping them: less memory, more time."""
    masked: bool = False
    """The generator gives a picture and a mask that blends it with the source, instead of the picture itself."""
    mask_weight: float = 0.0
    """Price of the mask's mean size; only `masked` uses it."""
    width: int = 64
    """Channels of the generator's first layer."""
    blocks: int = 6
    """Residual blocks of the generator."""
    d_width: int = 64
    """Channels of the discriminator's first layer."""
    d_layers: int = 6
    """Layers of the patch discriminator."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("landmark_weight", "mask_weight"):
            _require(self, name, getattr(self, name) >= 0, "0 or more")
        for name in ("width", "blocks", "d_width", "d_layers"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        _require(
            self,
            "use_landmarks",
            not (self.use_landmarks and self.discriminator == "resnet18"),
            "False with the resnet18 discriminator, which reads no landmarks",
        )
        grouped = self.discriminator != "resnet18" or self.d_width % 8 == 0
        _require(self, "d_width", grouped, "a multiple of 8 (the group norms of resnet18)")


@dataclass(frozen=True)
class Config:
    """A whole experiment: the four models, trained on one data set at one resolution."""

    data: str = "procedural_faces"
    """Data set to train on, as prepared by prepare.py."""
    data_dir: str = "data"
    """Where the prepared records lie."""
    seed: int = 0
    """Everything random follows from it."""
    resolution: int = 128
    """Side of the pictures in pixels; records of this size must have been prepared."""
    landmark_dimensions: Literal[2, 3] = 2
    """Coordinates of each landmark. 3 is the variant of Section IV-A, "we replaced all the landmarks in the model with
    3D ones"; it needs data with the feature `landmarks_3d`: procedural_faces, or photographs prepared with `--landmarks
    fan3d`."""
    augment: float = 0.0
    """Strength of random turns, shifts, zooms and light of the training faces; 1 is for some hundreds of faces, which
    would be learnt by heart, 0 leaves them as they are."""
    regressor: RegressorTraining = field(default_factory=RegressorTraining)
    """The judge."""
    landmark: LandmarkTraining = field(default_factory=LandmarkTraining)
    """The landmark converter."""
    image: ImageTraining = field(default_factory=ImageTraining)
    """The image converter."""
    avgan: ImageTraining = field(default_factory=lambda: ImageTraining(use_landmarks=False, discriminator="resnet18"))
    """The baseline without landmarks."""
    devices: int = 0
    """Devices to use; 0 takes all (on a CPU: one per core, which is its fast path too)."""
    steps_per_dispatch: int = 0
    """Steps run on the device in one call; 0 takes 20 on an accelerator and 1 on a CPU."""
    data_on_device: Literal["auto", "yes", "no"] = "auto"
    """Whether all training faces lie on every device, so that a step is sent their numbers only. `auto`: on an
    accelerator whose memory they fill no more than a quarter of."""
    loader_threads: int = 1
    """Threads that make batches ahead of the device; nothing else depends on it."""
    log_every: int = 100
    """Steps between lines of metrics.jsonl and TensorBoard."""
    checkpoint_every: int = 2_000
    """Steps between checkpoints."""
    keep_checkpoints: int = 3
    """Newest checkpoints kept, beside the best."""
    sample_every: int = 5_000
    """Steps between sample grids and looks at the validation faces."""

    def __post_init__(self) -> None:
        _require(self, "resolution", self.resolution >= 16 and self.resolution % 4 == 0, "a multiple of 4, 16 or more")
        _require(self, "augment", 0 <= self.augment <= 3, "in [0, 3]")
        _require(self, "devices", self.devices >= 0, "0 (all) or more")
        _require(self, "steps_per_dispatch", self.steps_per_dispatch >= 0, "0 (automatic) or more")
        if self.augment and self.data_on_device == "yes":
            raise UserError(
                f"data_on_device is 'yes' and augment is {self.augment}: faces are changed on the host; leave "
                "data_on_device at 'auto', or augment at 0"
            )
        for name in ("loader_threads", "log_every", "checkpoint_every", "keep_checkpoints", "sample_every"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        if self.avgan.use_landmarks:
            raise UserError("avgan.use_landmarks is True: avGAN is the baseline without landmarks; leave it False")
        for name in ("image", "avgan"):
            section = getattr(self, name)
            smallest = 2**section.d_layers
            if section.discriminator == "patch" and self.resolution < smallest:
                raise UserError(
                    f"{name}.d_layers is {section.d_layers}: each layer halves the picture, so {self.resolution} px "
                    f"allow at most {self.resolution.bit_length() - 1} layers"
                )


def _require(section: object, name: str, holds: bool, expected: str) -> None:
    if not holds:
        kind = type(section).__name__
        raise UserError(f"{name} is {getattr(section, name)!r} in {kind}: expected {expected}")


# What may differ between two runs of one experiment: it changes how the work is done, not what is learned.
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
    """The config as indented JSON with a newline at the end."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str, where: Path | str) -> Config:
    """The config that `to_json` wrote. Raises UserError, naming `where`, if the text is no such thing."""
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
        raise UserError(f"{where} is no config of this version ({error}); choose another workdir") from error


def _typed(kind: type, values: dict):
    """An instance of the dataclass `kind`; its own checks hold what values mean, this one their types."""
    for name, hint in get_type_hints(kind).items():
        value = values.get(name)
        if get_origin(hint) is Literal:
            right = any(value == one and type(value) is type(one) for one in get_args(hint))
        else:
            right = type(value) is hint or (hint is float and type(value) is int)
        if name in values and not right:
            raise TypeError(f"{name} is {value!r}")
    return kind(**values)


def differences(ours: Config, theirs: Config) -> list[str]:
    """What sets two experiments apart, as 'name: ours, theirs'; operational fields do not count.

    Nor does a number of steps, unless the learning rate follows it (`cosine`): a run may be made longer.
    """
    flat_ours, flat_theirs = _flatten(dataclasses.asdict(ours)), _flatten(dataclasses.asdict(theirs))
    found = []
    for name, value in flat_ours.items():
        section = name.rpartition(".")[0]
        extended = name.endswith(".steps") and flat_ours[f"{section}.decay"] != "cosine"
        if name not in OPERATIONAL and not extended and value != flat_theirs[name]:
            found.append(f"{name}: {value!r} here, {flat_theirs[name]!r} there")
    return found


def digest(config: Config) -> str:
    """Identity of an experiment's config, without its operational fields: 16 hexadecimal digits."""
    kept = {k: v for k, v in dataclasses.asdict(config).items() if k not in OPERATIONAL}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _flatten(tree: dict, prefix: str = "") -> dict[str, object]:
    flat = {}
    for name, value in tree.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
