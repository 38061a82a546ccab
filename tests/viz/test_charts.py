import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidpred.viz.charts import Chart, Line, Panel, chart_figure, heat_figure, smooth, spread_over_orders, to_svg


def line(values, label="run", **options):
    values = np.asarray(values, float)
    return Line(label, np.arange(len(values), dtype=float), values, "#3b82c4", **options)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(0, 0.95))
def test_smoothing_is_the_weighted_mean_of_what_came_before(values, weight):
    found = smooth(np.array(values), weight)
    for place in range(len(values)):
        weights = weight ** np.arange(place, -1, -1.0)
        assert found[place] == pytest.approx(np.average(values[: place + 1], weights=weights), abs=1e-9)


def test_smoothing_leaps_over_what_is_not_known():
    found = smooth(np.array([1.0, np.nan, 3.0]), 0.5)
    assert np.isnan(found[1])
    assert found[2] == pytest.approx((0.5 * 1 + 3) / 1.5)


def test_a_logarithm_is_for_positive_values_over_orders_of_magnitude():
    assert spread_over_orders([line([1, 100])])
    assert not spread_over_orders([line([1, 10])])
    assert not spread_over_orders([line([0, 100])])
    assert not spread_over_orders([])


def test_a_drawing_is_of_its_page_and_escapes_names():
    chart = Chart(
        "c", "t", "epoch", [Panel("loss", "", [line([1, 2], "<script>alert(1)</script>"), line([2, 1], "b")])]
    )
    drawing = to_svg(chart_figure(chart))
    assert drawing.startswith("<svg")
    assert "<script" not in drawing
    assert "currentColor" in drawing
    assert "#000000" not in drawing
    texts = [element.text for element in ElementTree.fromstring(drawing).iter() if element.tag.endswith("text")]
    assert "<script>alert(1)</script>" in texts
    assert "epoch" in texts


def test_drawings_are_the_same_bytes_each_time():
    chart = Chart("c", "t", "epoch", [Panel("loss", "", [line([1, 2])])])
    assert to_svg(chart_figure(chart)) == to_svg(chart_figure(chart))


def test_legends_name_settings_where_runs_are_too_many():
    lines = [line([1, 2], f"run {n}", group=f"setting {n % 2}") for n in range(20)]
    (legend,) = chart_figure(Chart("c", "t", "epoch", [Panel("loss", "", lines)])).legends
    assert [text.get_text() for text in legend.get_texts()] == ["setting 0", "setting 1"]


def test_long_curves_keep_their_ends_and_their_bands():
    values = np.linspace(0, 1, 5000)
    figure = chart_figure(Chart("c", "t", "frame", [Panel("", "", [line(values, band=(values - 1, values + 1))])]))
    drawn = figure.axes[0].lines[0].get_xydata()
    assert len(drawn) == 250
    assert drawn[0].tolist() == [0, 0]
    assert drawn[-1].tolist() == [4999, 1]


def test_heat_maps_share_their_colours():
    maps = {"a": np.full((3, 4), 20.0), "b": np.full((3, 4), 30.0)}
    figure = heat_figure(maps, context_frames=1)
    limits = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert len(limits) == 1
