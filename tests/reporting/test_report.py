"""Reports as files; the page as its HTML. tests/reporting/test_browser.py opens it."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from folders import make_run, write_films
from PIL import Image

from vidpred.reporting.charts import Look, psnr_chart, schedules_chart
from vidpred.reporting.comparison import make_fields
from vidpred.reporting.films import GAIN, error_map, make_films
from vidpred.reporting.reading import find_runs
from vidpred.reporting.report import write_report

EVIL = "</script><script>alert('x')</script>"


class Page(HTMLParser):
    """Tags, text and attributes that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def report(path, out=None, **options):
    written = write_report(find_runs([str(path)]), out or path / "report.html", **options)
    return written, written.page.read_text(encoding="utf-8")


def data_of(text):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found.group(1))


def test_a_report_is_a_page_and_every_figure_and_table_as_files(tmp_path):
    make_run(tmp_path / "a", {"kl_anneal": "none"}, films=True)
    make_run(tmp_path / "b", {"kl_anneal": "cyclical"}, psnr=23, films=True)
    written, text = report(tmp_path)
    files = {str(file.relative_to(written.files)) for file in written.files.rglob("*") if file.is_file()}
    figures = {f"figures/{name}.{kind}" for name in ("schedules", "losses", "psnr_per_frame", "psnr_by_clip")
               for kind in ("png", "svg")}  # fmt: skip
    tables = {
        f"tables/{name}.{kind}"
        for name in ("summary", "settings", "notes", "config", "origin")
        for kind in ("csv", "md")
    }
    assert files == figures | tables
    rows = list(csv.DictReader(io.StringIO((written.files / "tables/summary.csv").read_text())))
    assert [row["kl_anneal"] for row in rows] == ["cyclical", "none"]
    for section in ("summary", "schedules", "annealing", "psnr", "films", "notes", "reproduce"):
        assert f'id="A-{section}"' in text, section
    assert "The best is kl_anneal=cyclical" in text


def test_a_page_asks_no_network(tmp_path):
    make_run(tmp_path / "a", films=True)
    _, text = report(tmp_path)
    for tag, attributes in Page(text).tags:
        for name in ("src", "href", "xlink:href", "data"):
            value = attributes.get(name) or ""
            assert value.startswith(("data:", "#")) or not value, (tag, name, value)
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)


def test_names_from_configurations_are_escaped(tmp_path):
    make_run(tmp_path / "a", {"note": EVIL, "seed": 0}, films=True)
    make_run(tmp_path / "b", {"note": "plain", "seed": 0}, about={"command": f"run {EVIL}"}, films=True)
    _, text = report(tmp_path)
    page = Page(text)
    assert sum(tag == "script" for tag, _ in page.tags) == 3
    assert not any("alert('x')" in words and "</script>" not in words for words in page.words if "charts" not in words)
    labels = [line["label"] for chart in data_of(text)["charts"].values() for panel in chart["panels"]
              for line in panel["lines"]]  # fmt: skip
    assert any(EVIL in label for label in labels)


def test_the_numbers_of_the_charts_are_those_of_the_runs(tmp_path):
    make_run(tmp_path / "a")
    _, text = report(tmp_path)
    charts = data_of(text)["charts"]
    panels = {panel["title"]: panel for panel in charts["A-losses"]["panels"]}
    assert panels["training loss"]["x"] == [0, 1, 2, 3]
    assert panels["training loss"]["lines"][0]["y"] == [4, 3, 2, 1]
    assert panels["PSNR of validation rollouts"]["lines"][0]["y"] == [pytest.approx(22.02)]
    curve, copying = charts["A-psnr_per_frame"]["panels"][0]["lines"]
    assert curve["y"][0] == pytest.approx(23.02, abs=1e-3)
    assert curve["label"] == "a  (mean 22.02 dB)"
    assert curve["low"][0] <= curve["y"][0] <= curve["high"][0]
    assert copying["label"] == "copy the context frame  (mean 18.00 dB)"
    assert copying["run"] is None


def test_runs_of_other_data_have_parts_and_files_of_their_own(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", about={"data": "other"})
    written, text = report(tmp_path)
    assert 'id="A-summary"' in text
    assert 'id="B-summary"' in text
    assert "scores cannot be compared" in text
    assert (written.files / "tables/B_summary.csv").is_file()
    names = {panel["lines"][0]["run"] for key, chart in data_of(text)["charts"].items() if key.startswith("A-")
             for panel in chart["panels"]}  # fmt: skip
    assert names == {"a"}


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"psnr": None}, ("psnr", "films")),
        ({"psnr": None, "epochs": 0, "finished": False}, ("psnr", "films", "annealing")),
        ({"finished": False, "epochs": 2}, ()),
    ],
)
def test_runs_that_did_not_come_far_have_a_page(tmp_path, options, missing):
    make_run(tmp_path / "a", **options)
    if not missing:
        write_films(find_runs([str(tmp_path)])[0].folder)
    _, text = report(tmp_path)
    for section in missing:
        assert f'id="A-{section}"' not in text, section
    assert 'id="A-summary"' in text
    assert 'id="A-reproduce"' in text


def test_a_broken_film_is_noted_and_the_page_is_made(tmp_path):
    make_run(tmp_path / "a").write("films.npz", b"PK\x03\x04 broken")
    _, text = report(tmp_path)
    assert 'id="A-films"' not in text
    assert "films.npz cannot be read" in text


def test_a_run_that_is_not_finished_shows_where_it_was_to_go(tmp_path):
    make_run(tmp_path / "a", finished=False, epochs=2)
    (field,) = make_fields(find_runs([str(tmp_path)]))
    beta = next(panel for panel in schedules_chart(Look(field), note="").panels if panel.title == "beta")
    went, planned = beta.lines
    assert went.y.tolist() == [0, 0.5]
    assert planned.label == "a, planned"
    assert planned.y.tolist() == [0.5, 1, 1]
    assert planned.dash == "dotted"


def test_settings_have_colours_and_seeds_dashes(tmp_path):
    for name, choice, seed in (("a", "none", 0), ("b", "none", 1), ("c", "cyclical", 0)):
        make_run(tmp_path / name, {"kl_anneal": choice, "seed": seed})
    (field,) = make_fields(find_runs([str(tmp_path)]))
    lines = {line.run: line for line in psnr_chart(Look(field), note="").panels[0].lines if line.run}
    assert lines["a"].color == lines["b"].color != lines["c"].color
    assert lines["a"].dash != lines["b"].dash
    assert [line.label.partition("  (")[0] for line in lines.values()] == [
        "kl_anneal=none, seed 0", "kl_anneal=none, seed 1", "kl_anneal=cyclical"
    ]  # fmt: skip


def test_only_so_many_runs_are_shown_closely_the_best_of_each_setting_first(tmp_path):
    for number in range(4):
        make_run(tmp_path / str(number), {"x": number // 2, "seed": number}, psnr=20 + number, films=True)
    _, text = report(tmp_path, closely=2)
    (films,) = data_of(text)["films"].values()
    assert {tile["run"] for film in films for tile in film["tiles"] if tile["run"]} == {"1", "3"}
    assert "Of 4 runs 2 are shown here" in text
    _, text = report(tmp_path, closely=0)
    assert 'id="A-films"' not in text
    assert "Of 4 runs 0 are shown here" in text


def picture(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_sheet_holds_every_frame_in_its_place(tmp_path):
    make_run(tmp_path / "a", films=True)
    (field,) = make_fields(find_runs([str(tmp_path)]))
    films = make_films(field, Look(field), most=6)
    assert [film.title for film in films] == ["clip 0: worst", "clip 1: best"]
    tile = next(tile for tile in films[0].tiles if tile.run == "a")
    sheet, error = picture(tile.sheet), picture(tile.error)
    columns, (width, height) = films[0].columns, films[0].size
    for frame in range(6):
        top, left = frame // columns * height, frame % columns * width
        assert np.abs(sheet[top + 4 : top + 12, left + 4 : left + 20].astype(int) - 32 * frame).max() < 8
    assert error[4, 4].sum() > error[height + 4, 4].sum()  # frame 0 errs by 96, frame 3 by nothing
    assert tile.psnr == pytest.approx([23.0, 22.6, 22.2, 21.8, 21.4, 21.0])


def test_errors_are_magnified_and_black_is_none():
    truth = np.full((1, 2, 2, 3), 100, np.uint8)
    assert error_map(truth, truth).max() < 8
    brighter = error_map(truth + 10, truth)
    assert np.array_equal(brighter, error_map(truth - 10, truth))
    assert brighter.sum() > error_map(truth + 5, truth).sum()
    assert np.array_equal(error_map(truth + 255 // GAIN + 1, truth), error_map(truth + 150, truth))


def test_fifty_runs_make_a_page_below_ten_megabytes(tmp_path):
    for number in range(50):
        make_run(tmp_path / str(number), {"kl_anneal": f"law{number % 5}", "seed": number // 5})
        run = find_runs([str(tmp_path / str(number))])[0]
        rows = [{**run.rows[-1], "epoch": epoch, "train/loss": 1 / 3 + epoch} for epoch in range(500)]
        run.folder.write_rows(rows)
    written, _ = report(tmp_path)
    assert written.page.stat().st_size < 10e6


def test_a_crowded_legend_names_settings_with_their_means(tmp_path):
    for number in range(6):
        make_run(tmp_path / str(number), {"x": number // 3, "seed": number % 3}, psnr=20 + number)
    (field,) = make_fields(find_runs([str(tmp_path)]))
    groups = {line.group for line in psnr_chart(Look(field), note="").panels[0].lines if line.run}
    assert groups == {"x=1  (mean 24.02 dB)", "x=0  (mean 21.02 dB)"}
