import numpy as np
import pytest

from interp.report.views import MapPoint, map_view


def test_the_map_has_one_scale_for_both_axes():
    points = (MapPoint(0.0, 0.0, "a", None), MapPoint(3.0, 0.0, "b", None), MapPoint(0.0, 4.0, "c", None))
    places = [
        (float(mark.split('cx="')[1].split('"')[0]), float(mark.split('cy="')[1].split('"')[0]))
        for mark in map_view(points, (), "d").split("<circle")[1:]
    ]
    right, up = np.subtract(places[1], places[0]), np.subtract(places[2], places[0])
    assert right[0] / 3 == pytest.approx(-up[1] / 4, rel=0.01)
    with pytest.raises(ValueError, match="at least one point"):
        map_view((), (), "empty")


def test_groups_are_told_apart_by_shape_and_named():
    html = map_view((MapPoint(0.0, 1.0, "a", 0), MapPoint(2.0, 0.0, "b", 1)), ("animals", "tools"), "Two words.")
    assert (html.count("<circle"), html.count("<rect")) == (2, 2)
    assert html.count("<g ") == 2
    assert ">animals</text>" in html
