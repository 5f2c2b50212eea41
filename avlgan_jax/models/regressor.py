"""Training of the judge: a ResNet-18 that reads valence and arousal (Section IV-A), apart from every GAN."""

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
    """All that training changes."""

    step: Int[Array, ""]
    key: Key[Array, ""]
    regressor: Params
    optimizer: optax.OptState
    ema: Params | None

    @property
    def evaluated(self) -> Params:
        """The weights that evaluation uses: the averaged ones where there are any."""
        return self.regressor if self.ema is None else self.ema


@dataclass(frozen=True)
class RegressorTrainer:
    """The parts of the regressor's training."""

    network: nn.Module
    training: RegressorTraining
    optimizer: optax.GradientTransformation

    def init(self, key: Key[Array, ""], batch: Batch, frozen: Params) -> State:
        """A fresh state; `batch` gives shapes only, and nothing is looked through (`frozen` is empty)."""
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
        """Every step is of one kind."""
        return "regressor"

    def step(
        self,
        state: State,
        batch: Batch,
        key: Key[Array, ""],
        axis: str | None = None,
        kind: str = "regressor",
    ) -> tuple[State, dict[str, Float[Array, ""]]]:
        """One step on the squared error of valence and arousal. It draws no noise, so `key` goes unused."""

        def objective(regressor: Params) -> Float[Array, ""]:
            predicted, _ = self.network.apply({"params": regressor}, image_to_float(batch.images))
            return losses.emotion(predicted, batch.emotions)

        loss, gradients = mean_over_devices(jax.value_and_grad(objective)(state.regressor), axis)
        updates, optimizer = self.optimizer.update(gradients, state.optimizer)
        regressor = optax.apply_updates(state.regressor, updates)
        ema = moving_average(state.ema, regressor, state.step, self.training.ema_decay)
        state = state.replace(step=state.step + 1, regressor=regressor, optimizer=optimizer, ema=ema)
        return state, {"loss": loss, "rmse": jnp.sqrt(loss), "gradient_norm": optax.global_norm(gradients)}

    def validate(self, state: State, batch: Batch) -> dict[str, Float[Array, ""]]:
        """Root mean squared error on faces not trained on, with the evaluated weights; `score` is its negative."""
        predicted, _ = self.network.apply({"params": state.evaluated}, image_to_float(batch.images))
        rmse = jnp.sqrt(losses.emotion(predicted, batch.emotions))
        return {"rmse": rmse, "score": -rmse}
