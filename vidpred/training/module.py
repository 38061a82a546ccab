"""The LightningModule: one step of the conditional VAE, its schedules, and validation by rollout."""

import math
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from vidpred import __version__
from vidpred.data.datamodule import ClipDataModule, batches_done
from vidpred.metrics import SSIM_SIZE, psnr, ssim
from vidpred.networks import Model, rollout, unroll
from vidpred.networks.checkpoint import FORMAT
from vidpred.networks.compilation import compile_networks
from vidpred.networks.unroll import Gradient, check_unrolling
from vidpred.objectives import Controller, Objective
from vidpred.objectives.terms import mean_squared_error
from vidpred.pose.skeletons import skeleton_to_dict
from vidpred.schedules.teacher_forcing import Adaptive, mix
from vidpred.schedules.teacher_forcing import Schedule as TeacherForcing
from vidpred.seeds import Stream, clip_generators, mix_seed
from vidpred.training.guard import StepGuard
from vidpred.training.means import EpochMeans
from vidpred.types import Batch, Prediction


@runtime_checkable
class Law(Protocol):
    """A schedule over the run: KL weight or learning-rate factor."""

    @property
    def by(self) -> Literal["epoch", "step"]:
        """What positions count."""

    def __call__(self, position: int, total: int) -> float:
        """The value at a position."""


class Now(NamedTuple):
    """Where the run stands."""

    epoch: int
    epochs: int
    step: int  # optimizer steps so far
    steps: int  # of the whole run
    batch: int  # training batches so far

    @property
    def progress(self) -> float:
        """0 at the first step of the run, 1 at the last."""
        return min(1.0, self.step / max(1, self.steps - 1))


class Rollouts(NamedTuple):
    """What one validation batch gives."""

    sequence: Tensor  # (B,)
    psnr: Tensor  # (B, S), dB
    ssim: Tensor  # (B, S), NaN where frames are smaller than its window
    predicted: Tensor  # (B, S, C, H, W)


class ClipScores(NamedTuple):
    """How a validation clip scores, frame by frame."""

    psnr: Tensor  # (S,), dB
    ssim: Tensor  # (S,)


class VideoPrediction(LightningModule):
    """Trains a model of the step contract and validates it by rollouts from the context frames alone.

        loss = Σ_terms weight(beta) · mean over clips of term(clip)

    Args:
        model: the networks.
        objective: terms per clip, and their weights; a controller sets beta itself, and checkpoints keep its state.
        kl_anneal: beta over the run.
        teacher_forcing: forcing probability over the run, and what one coin decides for.
        optimizer: makes the optimizer from parameters.
        lr_schedule: factor on the learning rate over the run.
        context_frames: K, frames that a rollout is given.
        gradient: through a predicted previous frame: "full", "detached", or cut before every so many-th step.
        prior_share: part of the training clips whose z is the prior's, as validation takes it: its mean or a sample.
        chunk: steps computed together where a whole batch is forced; None is what suits the device.
        recompute: activation checkpointing: less memory, more time, the same gradients.
        validation_z: what z is in validation: the prior's "mean", or a "sample" of it.
        guard: watches for steps that are not finite.
        seed: of coins, noise and rollouts.
        compiled: compile the networks with ``torch.compile``: True, or the name of its backend.
        config: the run's configuration as plain containers; it travels in checkpoints and to loggers.
    """

    def __init__(
        self,
        *,
        model: Model,
        objective: Objective,
        kl_anneal: Law,
        teacher_forcing: TeacherForcing,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        lr_schedule: Law,
        context_frames: int = 1,
        gradient: Gradient = "detached",
        prior_share: float = 0.0,
        chunk: int | None = None,
        recompute: bool = False,
        validation_z: Literal["sample", "mean"] = "mean",
        guard: StepGuard | None = None,
        seed: int = 0,
        compiled: bool | str = False,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if context_frames < 1:
            raise ValueError(f"context_frames must be >= 1, got {context_frames}")
        check_unrolling(gradient, chunk)
        if not 0 <= prior_share < 1:
            raise ValueError(f"prior_share must lie in [0, 1): the posterior needs clips of its own, got {prior_share}")
        if validation_z not in ("sample", "mean"):
            raise ValueError(f"validation.z must be 'sample' or 'mean', got {validation_z!r}")
        self.model, self.objective = model, objective
        self.kl_anneal, self.teacher_forcing, self.lr_schedule = kl_anneal, teacher_forcing, lr_schedule
        self.context_frames, self.validation_z = context_frames, validation_z
        self.gradient, self.prior_share = gradient, prior_share
        self.chunk, self.recompute = chunk, recompute
        self.guard = guard or StepGuard()
        self.seed, self.config = seed, config or {}
        self._make_optimizer = optimizer
        self.clip_scores: dict[int, ClipScores] = {}  # of the last validation, by the clip's number
        self._rollouts: list[Rollouts] = []
        self._means = EpochMeans()
        self._announced = False
        if compiled:
            compile_networks(model, backend=compiled if isinstance(compiled, str) else "inductor")

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Predict every frame after the context, weigh the terms, log."""
        now = self.now
        prob = self.teacher_forcing(now.epoch, now.epochs)
        forced = self._mix(batch, prob, now)
        prediction = self.predict_clip(batch, forced)
        target, poses = batch.frames[:, self.context_frames :], batch.poses[:, self.context_frames :]
        terms = self.objective(prediction, target, poses, progress=now.progress)
        beta = self._beta(terms, now)
        weights = self.objective.weights(beta)
        means = {name: term.mean() for name, term in terms.items()}
        weighted = {name: weights[name] * mean for name, mean in means.items()}
        loss = torch.stack(list(weighted.values())).sum()
        self._log_terms(loss, means, weighted, clips=len(target))
        if self._shows_step:
            equivalent = self.objective.equivalent_beta(1.0, prediction, target, terms)
            self._log_schedules(beta, equivalent, prob, batch.frames.shape[1])
        if isinstance(self.teacher_forcing, Adaptive):
            self.teacher_forcing.observe(mean_squared_error(prediction.frames.detach(), target), forced)
        return self.guard.poison(loss)

    def predict_clip(self, batch: Batch, forced: Tensor) -> Prediction:
        """Unroll a batch with the noise of this moment."""
        noise = torch.randn(*forced.shape, *self.model.latent_shape, device=self.device)
        from_prior = torch.rand(len(forced), device=self.device) < self.prior_share if self.prior_share else None
        if from_prior is not None and self.validation_z == "mean":
            noise = noise * ~from_prior[:, None, None, None, None]  # without noise the prior's draw is its mean
        return unroll(self.model, batch.frames, batch.poses, noise=noise, forced=forced, from_prior=from_prior,
                      gap=batch.gap, gradient=self.gradient,
                      chunk=self.chunk, recompute=self.recompute)  # fmt: skip

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Reseed from (seed, batch of the run, rank): nothing is carried, so a resumed run draws the same noise."""
        torch.manual_seed(mix_seed(self.seed, Stream.NOISE, self.now.batch, self.trainer.global_rank))

    def on_train_epoch_end(self) -> None:
        """Let forcing that follows the training move."""
        if isinstance(self.teacher_forcing, Adaptive):
            self.teacher_forcing.advance()

    def validation_step(self, batch: Batch, index: int) -> Rollouts:  # type: ignore[override]
        """Roll out whole clips; the noise depends on the clip alone."""
        predicted, target = self._roll_out(batch), batch.frames[:, self.context_frames :]
        scores = psnr(predicted, target, data_range=1.0)
        similar = scores.new_full(scores.shape, float("nan"))
        if min(target.shape[-2:]) >= SSIM_SIZE["gaussian"]:
            similar = ssim(predicted.clamp(0, 1), target, data_range=1.0)
        rollouts = Rollouts(batch.sequence, scores, similar, predicted)
        self._rollouts.append(rollouts._replace(predicted=predicted[:0]))
        return rollouts

    def predict_step(self, batch: Batch, index: int) -> Tensor:
        """Roll out whole sequences from their context frames alone, (B, S, C, H, W)."""
        return self._roll_out(batch)

    def on_validation_epoch_end(self) -> None:
        """Mean over clips of the mean over frames of the per-frame scores, every clip once whatever the ranks."""
        self.clip_scores = self._gather_scores()
        means = {name: torch.stack([getattr(clip, name).mean() for clip in self.clip_scores.values()]).mean()
                 for name in ClipScores._fields}  # fmt: skip
        self.log("psnr/val", means["psnr"].to(self.device), prog_bar=True, sync_dist=True)
        if means["ssim"].isfinite():
            self.log("ssim/val", means["ssim"].to(self.device), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer, and its schedule by step or epoch.

        Raises:
            ValueError: if the optimizer refuses its options.
        """
        try:
            optimizer = self._make_optimizer(self.parameters())
        except ValueError as error:
            raise ValueError(f"optimizer=…: {error}") from None
        by, now = self.lr_schedule.by, self.now
        total = now.steps if by == "step" else now.epochs
        scheduler = LambdaLR(optimizer, lambda position: self.lr_schedule(position, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": by}}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm or value, and let the guard judge the norm."""
        gradients = [weight.grad for weight in self.parameters() if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if gradient_clip_val:
            if gradient_clip_algorithm == "value":
                torch.nn.utils.clip_grad_value_(self.parameters(), gradient_clip_val)
            else:
                torch.nn.utils.clip_grads_with_norm_(self.parameters(), gradient_clip_val, norm)
        self.guard.judge(norm, _plain(optimizer))
        if self._shows_step:
            self.log("train/gradient_norm", norm, on_step=True, on_epoch=False)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Update, unless the guard objects."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.guard.settle(_plain(optimizer))

    def on_train_batch_end(self, outputs: Any, batch: Batch, index: int) -> None:
        """Now and then, stop a run whose steps are not finite; at the epoch's end, log its means."""
        self.guard.check(self.trainer.global_step, clips=batch.sequence)
        if self.trainer.is_last_batch or self.trainer.global_step == self.trainer.max_steps:
            means = {f"train/{name}": value for name, value in self._means.take().items()}
            self.log_dict(means, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint self-sufficient: what is needed to build the model again."""
        means = self._means.state_dict()
        if means["sums"] is not None:  # of all processes, each of which goes on with it
            means["sums"] = self.trainer.strategy.reduce(means["sums"].clone(), reduce_op="mean")
        checkpoint["vidpred"] = {
            "format": FORMAT,
            "version": __version__,
            "shape": list(self.model.shape),
            "config": self.config,
            "skeleton": None if (skeleton := self.data.source.content.skeleton) is None else skeleton_to_dict(skeleton),
            "epoch_means": means,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the means of an epoch that was begun."""
        if "epoch_means" in checkpoint["vidpred"]:
            self._means.load_state_dict(checkpoint["vidpred"]["epoch_means"])

    @property
    def now(self) -> Now:
        """Where the run stands, from Lightning's own counters, which a checkpoint restores."""
        trainer = self.trainer
        epochs = trainer.max_epochs
        if epochs is None or epochs < 1:
            raise ValueError(f"schedules need a run of known length: set trainer.max_epochs, got {epochs}")
        return Now(
            epoch=trainer.current_epoch,
            epochs=epochs,
            step=trainer.global_step,
            steps=epochs * math.ceil(self.data.batches_per_epoch / trainer.accumulate_grad_batches),
            batch=batches_done(trainer),
        )

    @property
    def data(self) -> ClipDataModule:
        """What serves the clips."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ClipDataModule)
        return data

    @property
    def _shows_step(self) -> bool:
        """Whether loggers take this step's values, or ``metrics.csv`` the epoch's: others are not worth a log."""
        due: bool = self.trainer._logger_connector.should_update_logs
        return due or self.trainer.is_last_batch or not self._announced

    def _roll_out(self, batch: Batch) -> Tensor:
        generators = clip_generators(self.seed, batch.sequence.tolist())
        context = batch.frames[:, : self.context_frames]
        return rollout(self.model, context, batch.poses, z=self.validation_z, generators=generators)

    def _mix(self, batch: Batch, prob: float, now: Now) -> Tensor:
        """The share of the true frame in every previous frame, by coins that all processes share."""
        clips, steps = len(batch.frames), batch.frames.shape[1] - self.context_frames
        world, rank = self.trainer.world_size, self.trainer.global_rank
        shares = mix(self.teacher_forcing, prob, clips=clips * world, steps=steps,
                     seed=self.seed, epoch=now.epoch, step=now.batch)  # fmt: skip
        return shares[rank * clips : (rank + 1) * clips]

    def _beta(self, terms: dict[str, Tensor], now: Now) -> float | Tensor:
        """What the controller makes of the terms, or the schedule of the moment."""
        if isinstance(self.objective, Controller):
            return self.objective.observe(terms)
        law = self.kl_anneal
        return law(now.epoch, now.epochs) if law.by == "epoch" else law(now.step, now.steps)

    def _log_terms(self, loss: Tensor, means: dict[str, Tensor], weighted: dict[str, Tensor], *, clips: int) -> None:
        """Loss, terms, and what the loss pays for KL: beta × KL, in whatever form the objective has it."""
        paid = [term for name, term in weighted.items() if name != "reconstruction"]
        values = {"loss": loss, **means, "weighted_kl": torch.stack(paid).sum()}
        self._means.add(values, clips)
        if self._shows_step:
            self.log_dict({f"train/{name}_step": value.detach() for name, value in values.items()},
                          prog_bar=True, on_step=True, on_epoch=False)  # fmt: skip

    def _log_schedules(self, beta: float | Tensor, equivalent: float | Tensor, prob: float, length: int) -> None:
        if not self._announced and self.trainer.is_global_zero:
            print(f"beta = 1 weighs KL like {float(equivalent):.4g} in the papers' convention (½ Σ squared error over "
                  f"pixels, KL summed over z), by the first batch", flush=True)  # fmt: skip
        self._announced = True
        schedules = {
            "schedule/beta": beta,
            "schedule/beta_equivalent": beta * equivalent,  # of one unit of beta
            "schedule/forcing_prob": prob,
            "schedule/clip_length": float(length),
            "schedule/lr": self.trainer.optimizers[0].param_groups[0]["lr"],
        }
        self.log_dict(schedules, prog_bar=True, on_step=True, on_epoch=False)

    def _gather_scores(self) -> dict[int, ClipScores]:
        """Per-frame scores of every validation clip, from all ranks, by the clip's number."""
        mine = {
            int(clip): ClipScores(*scores)
            for rollouts in self._rollouts
            for clip, *scores in zip(
                rollouts.sequence.tolist(), rollouts.psnr.float().cpu(), rollouts.ssim.float().cpu(), strict=True
            )
        }
        self._rollouts.clear()
        if self.trainer.world_size == 1:
            return mine
        everyone: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(everyone, mine)
        return dict(sorted((pair for part in everyone for pair in part.items()), key=itemgetter(0)))


def _plain(optimizer: Any) -> Optimizer:
    """The torch optimizer inside Lightning's wrapper."""
    plain: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return plain
