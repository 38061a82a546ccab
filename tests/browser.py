"""Real headless Chromium, driven by its own driver; tests that need it are skipped where it is not installed."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

SCREENSHOTS = Path(__file__).parent.parent / ".artifacts" / "screenshots"
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
          "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage")  # fmt: skip


@contextmanager
def chromium(
    *, width: int = 1200, height: int = 1000, dark: bool = False, script: bool = True
) -> Iterator[webdriver.Chrome]:
    """A browser of its own."""
    browser, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if browser is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*_FLAGS, f"--window-size={width},{height}"):
        options.add_argument(flag)
    if not script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    page = webdriver.Chrome(options=options, service=Service(driver))
    try:
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        yield page
    finally:
        page.quit()


def keep_screenshot(page: webdriver.Chrome, name: str) -> Path:
    """The whole page as a picture, for people to look at."""
    size = page.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
    answer = page.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = SCREENSHOTS / f"{name}.png"
    file.write_bytes(base64.b64decode(answer["data"]))
    return file


def complaints(page: webdriver.Chrome, *, levels: tuple[str, ...] = ("SEVERE", "WARNING")) -> list[str]:
    """What stands on the console, but for the browser's advice on our own reading of its canvases."""
    found = [entry["message"] for entry in page.get_log("browser") if entry["level"] in levels]
    return [message for message in found if "willReadFrequently" not in message]
