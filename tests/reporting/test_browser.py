"""The report's page in a real browser."""

import numpy as np
import pytest
from browser import chromium, complaints, keep_screenshot
from folders import make_run
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By

from vidpred.reporting.reading import find_runs
from vidpred.reporting.report import write_report

EVIL = "</script><img src=x onerror=1>"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of three runs, one of them with a name that attacks, one of other data; and a page of one run."""
    root = tmp_path_factory.mktemp("report")
    make_run(root / "many" / "a", {"kl_anneal": "none", "note": "plain"}, psnr=22, films=True)
    make_run(root / "many" / "b", {"kl_anneal": "cyclical", "note": EVIL}, psnr=9, films=True)
    make_run(root / "many" / "c", {"kl_anneal": "none"}, psnr=25, about={"data": "other"})
    make_run(root / "one" / "a", films=True)
    return {name: write_report(find_runs([str(root / name)]), root / f"{name}.html").page for name in ("many", "one")}


@pytest.fixture(scope="module")
def browser():
    with chromium() as page:
        yield page


@pytest.fixture
def page(browser, pages):
    browser.get(f"file://{pages['many']}")
    return browser


def find(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector)


def pixels(page, run):
    script = "const c = arguments[0]; return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    canvas = find(page, f"#A .tile[data-run={run}] canvas")
    return np.array(page.execute_script(script, canvas)).reshape(16, 24, 4)[..., :3]


def test_the_page_opens_without_complaints(page):
    keep_screenshot(page, "report")
    assert complaints(page) == []
    assert len(page.find_elements(By.CSS_SELECTOR, ".uplot canvas")) >= 15
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_names_do_nothing_but_stand_there(page):
    assert page.execute_script("return document.images.length") == len(
        [
            image
            for image in page.find_elements(By.TAG_NAME, "img")
            if image.get_dom_attribute("src").startswith("data:")
        ]
    )
    assert EVIL in page.execute_script("return document.querySelector('#A .chips').textContent")


def test_the_scrubber_moves_all_films(page):
    before = {run: pixels(page, run).mean() for run in "ab"}
    assert "frame 1" in find(page, "#A .frame").text
    page.execute_script("const s = arguments[0]; s.value = 5; s.dispatchEvent(new Event('input'))",
                        find(page, "#A .scrubber"))  # fmt: skip
    assert find(page, "#A .frame").text == "frame 6"
    for run in "ab":
        assert before[run] == pytest.approx(0, abs=4)
        assert pixels(page, run).mean() == pytest.approx(160, abs=4)
    assert "8.0 dB" in find(page, "#A .tile[data-run=b] figcaption").text


def test_films_play_and_pause_and_show_errors(page):
    play = find(page, "#A .play")
    play.click()
    script = "const done = arguments[0]; setTimeout(() => done(document.querySelector('#A .scrubber').value), 400)"
    moved = int(page.execute_async_script(script))
    play.click()
    assert moved >= 2
    stopped = int(page.execute_script("return document.querySelector('#A .scrubber').value"))
    assert int(page.execute_async_script(script)) == stopped
    page.execute_script("const s = arguments[0]; s.value = 3; s.dispatchEvent(new Event('input'))",
                        find(page, "#A .scrubber"))  # fmt: skip
    find(page, "#A .errors").click()
    assert pixels(page, "a").mean() < 6  # frame 3 is exact


def test_a_table_is_sorted_by_value_both_ways(page):
    head = find(page, "[data-table=A-summary] th:nth-child(4) button")  # run, two options, best PSNR

    def order():
        rows = page.find_elements(By.CSS_SELECTOR, "[data-table=A-summary] tbody tr")
        return [row.get_dom_attribute("data-run") for row in rows]

    assert head.text == "best PSNR"
    assert order() == ["a", "b"]
    head.click()
    assert order() == ["a", "b"]
    head.click()
    assert order() == ["b", "a"]  # 9 < 22 though "9" > "22" as text
    assert find(page, "[data-table=A-summary] th:nth-child(4)").get_dom_attribute("aria-sort") == "ascending"


def test_a_run_is_switched_off_everywhere(page):
    chip = find(page, "#A .chip[data-run=b]")
    chip.click()
    assert chip.get_dom_attribute("aria-pressed") == "false"
    assert not find(page, "#A .tile[data-run=b]").is_displayed()
    assert find(page, "#A .tile[data-run=a]").is_displayed()
    find(page, "#A .chip.all").click()
    assert find(page, "#A .tile[data-run=b]").is_displayed()
    assert complaints(page) == []


def test_smoothing_and_logarithm_redraw_the_charts(page):
    canvas = "return document.querySelector('#A [data-chart=A-losses] canvas').toDataURL()"
    drawn = [page.execute_script(canvas)]
    page.execute_script("const s = arguments[0]; s.value = 0; s.dispatchEvent(new Event('input'))",
                        find(page, "#A [data-chart=A-losses] .smoothing"))  # fmt: skip
    drawn.append(page.execute_script(canvas))
    find(page, "#A [data-chart=A-losses] .log").click()
    drawn.append(page.execute_script(canvas))
    assert len(set(drawn)) == 3
    assert complaints(page) == []


def test_hovering_tells_the_values(page):
    over = find(page, "#A [data-chart=A-psnr_per_frame] .u-over")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    ActionChains(page).move_to_element(over).perform()
    said = find(page, "#A [data-chart=A-psnr_per_frame] .tip").text
    assert said.startswith("frame ")
    assert "copy the context frame" in said


def test_without_javascript_there_are_charts_tables_and_pictures(pages):
    with chromium(script=False) as page:
        page.get(f"file://{pages['one']}")
        keep_screenshot(page, "report_without_javascript")
        assert find(page, ".chart .drawing svg").is_displayed()
        assert find(page, ".still img").is_displayed()
        assert not find(page, ".controls").is_displayed()
        assert "22.02" in find(page, "[data-table=A-summary]").text


def test_a_dark_page_and_a_narrow_one(pages):
    with chromium(dark=True, width=500) as page:
        page.get(f"file://{pages['one']}")
        keep_screenshot(page, "report_dark_narrow")
        paper = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert max(int(value) for value in paper[4:-1].split(",")) < 60
        assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_print_shows_drawings_and_stills(pages, browser):
    browser.get(f"file://{pages['one']}")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert find(browser, ".chart .drawing").is_displayed()
        assert find(browser, ".still img").is_displayed()
        assert not find(browser, ".live").is_displayed()
        keep_screenshot(browser, "report_print")
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
