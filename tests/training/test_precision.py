"""Half precision: it trains as single precision does, and the scaler of fp16 and the guard do not fight.

On the CPU Lightning takes 16-mixed for bf16-mixed, so its plugin with a scaler is put in by hand.
"""

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from samples import TINY
from test_training import module_for, plain_trainer

from vidpred import assembly
from vidpred.training.guard import NonFiniteError, StepGuard

STEPS = ("model.widths=[8,8,8]", "model.name_channels=4", "baselines=false", "logger=none", "data.clips_per_epoch=200",
         "data.batch_size=2", "trainer.max_epochs=2", "trainer.check_val_every_n_epoch=2", "callbacks.last=null",
         "callbacks.doctor=null", "optimizer.fused=false", "optimizer.lr=1e-3")  # fmt: skip


def fp16(scale: float = 2.0**16) -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))


@pytest.mark.slow
def test_200_steps_in_half_precision_end_where_single_precision_does(compose, tmp_path):
    """The scaler begins so high that its first ten steps and more overflow: the guard waits for it.

    What is compared is the loss of the last hundred steps, at a third of the default's learning rate: there the few
    steps that the scaler skips, and the last bit of bfloat16 convolutions, which differ between CPUs, move it by 2 %;
    at the default's by 9 %, and the few validation frames of such a run by 1.5 dB.
    """
    losses, norms, skipped = {}, {}, {}
    for name, plugin in (("32-true", None), ("bf16-mixed", None), ("16-mixed", fp16(2.0**32))):
        precision = "32-true" if plugin else name
        run = assembly.build_run(compose(*STEPS, f"trainer.precision={precision}", run_dir=tmp_path / name))
        if plugin is not None:
            run.trainer.strategy.precision_plugin = plugin
        run.trainer.fit(run.module, datamodule=run.data)
        assert run.trainer.global_step == 200
        assert all(weight.isfinite().all() for weight in run.module.parameters()), name
        losses[name] = float(run.trainer.callback_metrics["train/loss"])
        norms[name] = float(run.trainer.callback_metrics["train/gradient_norm"])
        skipped[name] = int(run.module.guard.skipped)
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.08)
    assert losses["16-mixed"] == pytest.approx(losses["32-true"], rel=0.08)
    assert max(norms.values()) < 10  # those of fp16 are without the scale
    assert skipped["32-true"] == skipped["bf16-mixed"] == 0
    assert 10 <= skipped["16-mixed"] < 30


def test_a_loss_that_stays_nan_stops_a_run_with_a_scaler_and_its_weights_stay(data, tmp_path):
    torch.manual_seed(0)
    module = module_for(TINY["cvae"](), guard=StepGuard(patience=2, check_every=1))
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    module.guard.poison = lambda loss: loss * torch.nan
    trainer = plain_trainer(tmp_path, gradient_clip_val=1.0)
    trainer.strategy.precision_plugin = fp16()
    with pytest.warns(UserWarning, match="did not change"), pytest.raises(NonFiniteError, match="2 steps in a row"):
        trainer.fit(module, datamodule=data)
    for name, weight in module.named_parameters():
        assert torch.equal(weight.detach(), before[name]), name


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("name", ["16", "16-mixed"])
def test_optimizers_that_unscale_by_themselves_are_not_used_with_a_scaler(compose, name, optimizer):
    """They would leave the gradients scaled when they are clipped and judged."""
    run = assembly.build_run(compose(
        "model.widths=[8,8,8]", "logger=none", "data.clips_per_epoch=2", "trainer.max_epochs=1",
        f"optimizer={optimizer}", f"trainer.precision={name}",
    ))  # fmt: skip
    run.trainer.fit(run.module, datamodule=run.data)
    (found,) = run.trainer.optimizers
    assert [group["fused"] for group in found.param_groups if "fused" in group] == [False]
