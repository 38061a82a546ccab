"""Two processes on the CPU, by the command a user writes."""

import os
import subprocess
import sys

import numpy as np


def test_two_processes_validate_every_clip_once(tmp_path, cache):
    environment = {**os.environ, "VIDPRED_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "run"
    answer = subprocess.run(
        [sys.executable, "-m", "vidpred.run", "experiment=debug", "trainer=ddp_cpu", "data.val_clips=3",
         "model.widths=[8,8,8]", "data.batch_size=1", "baselines=false", f"hydra.run.dir={folder}"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    with np.load(folder / "psnr.npz") as arrays:
        assert arrays["clips"].tolist() == [0, 1, 2]
        assert np.isfinite(arrays["model"]).all()
    assert not (tmp_path / "outputs").exists()
    assert len((folder / "metrics.csv").read_text().splitlines()) == 3
