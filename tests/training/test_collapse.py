"""The doctor on runs of the embedded data: z that is used, that has collapsed, and that has nothing to tell."""

import pytest

from vidpred import assembly
from vidpred.runfolder import RunFolder

BRIGHT = ("data.height=16", "data.width=32", "data.train_clips=48", "data.train_frames=32", "data.val_clips=4",
          "data.val_frames=24", "data.strengths.light=3.0", "data.strengths.wind=0.0", "data.strengths.ball=0.0",
          "data.clip_length=8", "data.batch_size=8", "data.clips_per_epoch=256", "trainer.max_epochs=4",
          "trainer.check_val_every_n_epoch=4", "model.widths=[16,24,32]", "model.name_channels=8", "prior_share=0.0",
          "length_schedule=constant", "kl_anneal=constant", "logger=none", "baselines=false")  # fmt: skip


@pytest.mark.parametrize(
    ("beta", "stochastic", "state"),
    [(1e-3, 1.0, "live"), (1e4, 1.0, "collapsed"), (1e3, 0.0, "nothing to explain")],
)
def test_the_doctor_tells_how_a_run_has_gone(compose, tmp_path, beta, stochastic, state):
    cfg = compose(*BRIGHT, f"kl_anneal.beta_stop={beta}", f"data.stochastic={stochastic}", run_dir=tmp_path / "run")
    run = assembly.build_run(cfg)
    run.trainer.fit(run.module, datamodule=run.data)
    told = RunFolder(tmp_path / "run").read_json("doctor.json")
    assert told["state"] == state, told["sentence"]
