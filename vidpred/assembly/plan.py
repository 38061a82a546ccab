"""The schedules of a run: built together, fitted to its length, checked, and told before anything is trained."""

import math
from typing import Any, NamedTuple

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from vidpred.assembly.building import build
from vidpred.assembly.devices import count_processes
from vidpred.data.datamodule import ClipDataModule
from vidpred.objectives import Controller, KlBalance, Objective
from vidpred.schedules import Fittable
from vidpred.schedules.clip_length import Schedule as LengthSchedule
from vidpred.schedules.kl_anneal import Constant
from vidpred.schedules.law import By
from vidpred.schedules.teacher_forcing import Adaptive, Schedule
from vidpred.training.module import Law
from vidpred.viz.courses import Course


class Plan(NamedTuple):
    """What changes over a run, and how long it is."""

    objective: Objective
    kl_anneal: Law
    teacher_forcing: Schedule
    lr_schedule: Law
    length_schedule: LengthSchedule
    learning_rate: float  # that lr_schedule is a factor of
    clip_length: int
    epochs: int
    steps: int  # of the optimizer, in the whole run

    def count(self, by: By) -> int:
        """Positions of the run."""
        return self.epochs if by == "epoch" else self.steps

    def courses(self) -> list[Course]:
        """What every schedule does, and what to expect of it."""
        plan: Any = self  # describe() is not part of the protocols that training needs
        by_beta, by_rate, by_length = (self.count(law.by) for law in (self.kl_anneal, self.lr_schedule,
                                                                       self.length_schedule))  # fmt: skip
        beta = Course("beta", _sample(self.kl_anneal, by_beta), plan.kl_anneal.describe(by_beta))
        if isinstance(self.objective, Controller):
            beta = Course("beta", None, self.objective.describe())
        forcing = _sample(self.teacher_forcing, self.epochs)
        lengths = [self.length_schedule(position, by_length, clip_length=self.clip_length)
                   for position in range(by_length)]  # fmt: skip
        return [
            beta,
            Course("forcing_prob", None if isinstance(self.teacher_forcing, Adaptive) else forcing,
                   plan.teacher_forcing.describe(self.epochs)),
            Course("learning rate", self.learning_rate * _sample(self.lr_schedule, by_rate),
                   plan.lr_schedule.describe(by_rate)),
            Course("clip length", np.array(lengths, dtype=float),
                   plan.length_schedule.describe(by_length, clip_length=self.clip_length)),
        ]  # fmt: skip


def build_plan(cfg: DictConfig, data: ClipDataModule) -> Plan:
    """Build the schedules of a configuration, and try each at its first position.

    The data is drawn or packed only where an epoch is every clip once.

    Raises:
        ValueError: for what cannot work in a run of this length, with the reason.
    """
    objective: Objective = build(cfg.objective)
    laws = {group: build(cfg[group]) for group in ("kl_anneal", "teacher_forcing", "lr_schedule", "length_schedule")}
    _check_objective(objective, laws["kl_anneal"], cfg)
    if not 1 <= cfg.context_frames < data.clip_length:
        raise ValueError(f"context_frames must be at least 1 and below data.clip_length={data.clip_length}, "
                         f"got {cfg.context_frames}")  # fmt: skip
    epochs = cfg.trainer.max_epochs
    batches = data.count_batches(world_size=count_processes(cfg.trainer), limit=cfg.trainer.limit_train_batches)
    steps = epochs * math.ceil(batches / cfg.trainer.accumulate_grad_batches)
    plan = Plan(objective, **laws, learning_rate=cfg.optimizer.lr, clip_length=data.clip_length,
                epochs=epochs, steps=steps)  # fmt: skip
    if cfg.fit_schedules:
        totals = {group: plan.count(getattr(law, "by", "epoch")) for group, law in laws.items()}
        plan = plan._replace(**{group: _fit(law, cfg[group], totals[group]) for group, law in laws.items()})
    _try_first(plan, cfg.context_frames)
    return plan


def _try_first(plan: Plan, context_frames: int) -> None:
    """Refuse, or warn of, what cannot work as meant."""
    plan.kl_anneal(0, plan.count(plan.kl_anneal.by))
    plan.lr_schedule(0, plan.count(plan.lr_schedule.by))
    plan.teacher_forcing(0, plan.epochs)
    shortest = plan.length_schedule(0, plan.count(plan.length_schedule.by), clip_length=plan.clip_length)
    if shortest <= context_frames:
        raise ValueError(f"length_schedule.length_start must be above context_frames={context_frames}, got {shortest}")


def _check_objective(objective: Objective, kl_anneal: Law, cfg: DictConfig) -> None:
    """Refuse what would be ignored beside a controller, and a prior that KL balancing has nothing to balance with.

    Raises:
        ValueError: that says what to set.
    """
    name = f"objective={type(objective).__name__}"
    if isinstance(objective, Controller) and kl_anneal not in (Constant(), Constant(by="step")):
        raise ValueError(f"{name} sets beta itself and would ignore kl_anneal={kl_anneal}: set kl_anneal=none, with "
                         f"beta_stop=1, or choose another objective")  # fmt: skip
    if isinstance(objective, KlBalance) and not build(cfg.prior).func.sees_previous:
        raise ValueError(f"{name} balances posterior and learned prior: set prior=learned, or choose another objective")


def _fit(law: Any, options: DictConfig, total: int) -> Any:
    """The law, shrunk to a short run where it does not fit; its options, which the run records, follow."""
    if not isinstance(law, Fittable):
        return law
    fitted: Any = law.fit(total)
    for name in options:
        if name != "_target_" and getattr(fitted, str(name)) != getattr(law, str(name)):
            _tell(f"fit_schedules: {name!s} of {type(law).__name__} is {getattr(fitted, str(name))} instead of "
                  f"{getattr(law, str(name))}, to fit in {total} positions")  # fmt: skip
            options[name] = getattr(fitted, str(name))
    return fitted


@rank_zero_only
def _tell(sentence: str) -> None:
    print(sentence, flush=True)


def _sample(law: Any, total: int) -> np.ndarray:
    return np.array([law(position, total) for position in range(total)], dtype=float)
