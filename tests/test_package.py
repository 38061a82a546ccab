"""The wheel in an empty environment, and what imports what at run time."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_trains_in_an_empty_folder(tmp_path, cache):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("vidpred-*.whl")
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True, capture_output=True)
    # lend the installed dependencies, without the editable vidpred
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for finder in Path(sysconfig.get_path("purelib")).glob("_*vidpred*.pth"):
        assert str(ROOT) in finder.read_text()  # an editable install adds a path that .pth files lent do not
    folder = tmp_path / "empty"
    folder.mkdir()
    environment = {**os.environ, "VIDPRED_CACHE": str(cache)}
    code = "import vidpred; print(vidpred.__file__)"
    where = subprocess.run(
        [python, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert str(packages) in where.stdout
    answer = subprocess.run(
        [python, "-m", "vidpred.run", "experiment=debug", "model.widths=[8,8,8]", "baselines=false"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert len(list(folder.rglob("best.ckpt"))) == 1
    assert not (packages / "conf").exists()
    script = subprocess.run(
        [tmp_path / "venv" / "bin" / "vidpred", "run", "--help"], cwd=folder, capture_output=True, text=True
    )
    assert "kl_anneal=" in script.stdout


@pytest.mark.parametrize(
    "module",
    ["types", "seeds", "schedules", "objectives", "metrics", "networks", "pose.drawing", "viz.films", "viz.figures",
     "runfolder", "data.store", "data.dancers.film"],
)  # fmt: skip
def test_lower_rooms_load_neither_lightning_nor_hydra(module):
    code = f"import vidpred.{module}, sys; assert not {{'lightning', 'hydra', 'omegaconf'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_drawing_needs_no_torch():
    code = "import vidpred.data.dancers.film, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
