"""Training of the regressor, a ResNet-18 that predicts valence and arousal (Section IV-A), separately from the GANs."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, Key

from avlgan_jax.config import RegressorTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.models import losses
from avlgan_jax.models.networks import image_to_float
from avlgan_jax.models.optimizers import Params, copy_params, moving_average
from avlgan_jax.runtime.devices import mean_over_devices


class State(struct.PyTreeNode):
    """Training state of the regressor."""

    step: Int[Array, ""]
    key: Key[Array, ""]
    regressor: Params
    optimizer: optax.OptState
    ema: Params | None

    @property
    def evaluated(self) -> Params:
        """The weights for evaluation: the moving average if there is one, else the last weights."""
        return self.regressor if self.ema is None else self.ema


@dataclass(frozen=True)
class RegressorTrainer:
    """The network, optimizer and training step of the regressor."""

    network: nn.Module
    training: RegressorTraining
    optimizer: optax.GradientTransformation

    def init(self, key: Key[Array, ""], batch: Batch, frozen: Params) -> State:
        """Return a newly initialised state.

        Args:
            key: The key for the network's weights and for training.
            batch: A batch of which only the shapes are used.
            frozen: Unused, since the regressor uses no other model; present to match `Converter.init`.
        """
        for_network, for_training = jax.random.split(key)
        regressor = self.network.init(for_network, image_to_float(batch.images))["params"]
        return State(
            step=jnp.zeros((), jnp.int32),
            key=for_training,
            regressor=regressor,
            optimizer=self.optimizer.init(regressor),
            ema=copy_params(regressor) if self.training.ema_decay else None,
        )

    def step_kind(self, step: int) -> str:
        """Return "regressor": all steps are of the same kind."""
        return "regressor"

    def step(
        self,
        state: State,
        batch: Batch,
        key: Key[Array, ""],
        axis: str | None = None,
        kind: str = "regressor",
    ) -> tuple[State, dict[str, Float[Array, ""]]]:
        """Run one training step on the mean squared error of valence and arousal; return the state and the metrics.

        Args:
            state: The state before the step.
            batch: The batch of this device.
            key: Unused, since the step has no noise.
            axis: The mapped axis over which gradients and loss are averaged; None on a single device.
            kind: Unused, since all steps are of the same kind.
        """

        def objective(regressor: Params) -> Float[Array, ""]:
            predicted, _ = self.network.apply({"params": regressor}, image_to_float(batch.images))
            return losses.emotion(predicted, batch.emotions)

        share = jnp.mean(losses.known_labels(batch.emotions))
        loss, gradients = jax.value_and_grad(objective)(state.regressor)
        loss, gradients, share = mean_over_devices((loss, gradients, share), axis)
        updates, optimizer = self.optimizer.update(gradients, state.optimizer)
        regressor = optax.apply_updates(state.regressor, updates)
        ema = moving_average(state.ema, regressor, state.step, self.training.ema_decay)
        state = state.replace(step=state.step + 1, regressor=regressor, optimizer=optimizer, ema=ema)
        return state, {"loss": loss, "rmse": _rmse(loss, share), "gradient_norm": optax.global_norm(gradients)}

    def validate(self, state: State, batch: Batch) -> dict[str, Float[Array, ""]]:
        """Return the root mean squared error on a batch of validation faces, and `score`, its negative.

        It is computed with the weights for evaluation.
        """
        predicted, _ = self.network.apply({"params": state.evaluated}, image_to_float(batch.images))
        loss, share = losses.emotion(predicted, batch.emotions), jnp.mean(losses.known_labels(batch.emotions))
        rmse = _rmse(loss, share)
        return {"rmse": rmse, "score": -rmse}


def _rmse(loss: Float[Array, ""], share: Float[Array, ""]) -> Float[Array, ""]:
    """Return the root mean squared error over the labels that exist, which are `share` of the batch's; 0 for none."""
    return jnp.sqrt(loss / jnp.maximum(share, 1e-9))
