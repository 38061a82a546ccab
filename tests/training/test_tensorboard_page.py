"""TensorBoard, started on a real run, in a real browser."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browser import chromium, complaints, keep_screenshot
from selenium.webdriver.support.ui import WebDriverWait

from vidpred import assembly
from vidpred.training import tracking


@pytest.fixture
def served(compose, tmp_path):
    """The address of TensorBoard over one finished debug run."""
    run = assembly.build_run(compose("model.widths=[8,8,8]", "baselines=false", run_dir=tmp_path / "runs" / "one"))
    run.trainer.fit(run.module, datamodule=run.data)
    tracking.log_outcome(run.trainer, {"kl_anneal": "monotonic"}, {"psnr_best": 22.5, "psnr_last": 22.0}, varied=set())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("tensorboard")), "--logdir", str(tmp_path / "runs")]
    server = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/data/runs", timeout=5).read()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


_TEXTS = """
const texts = [];
const walk = (node) => {
  if (node.nodeType === Node.TEXT_NODE) texts.push(node.textContent);
  if (node.shadowRoot) walk(node.shadowRoot);
  node.childNodes.forEach(walk);
};
walk(document.body);
return texts.join("\\n");
"""  # TensorBoard's tabs are web components: their text is in shadow trees


@pytest.mark.slow
def test_the_tabs_show_what_a_run_has_logged(served):
    with chromium(width=1500, height=1100) as page:
        for tab, words in {
            "custom_scalars": ["quality", "PSNR of validation rollouts (dB)", "forcing probability"],
            "hparams": ["PSNR, best", "22.500"],
            "images": ["films/side_by_side", "psnr/per_frame"],
            "text": ["config", "kl_anneal"],
        }.items():
            page.get(f"{served}/#{tab}")
            page.refresh()
            for word in words:
                WebDriverWait(page, 30).until(lambda page, word=word: word in page.execute_script(_TEXTS), word)
            time.sleep(1.5)  # charts are drawn after their titles
            keep_screenshot(page, f"tensorboard_{tab}")
            assert complaints(page, levels=("SEVERE",)) == [], tab
