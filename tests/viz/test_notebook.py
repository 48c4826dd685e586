"""The pictures for notebooks: they show the numbers that they are of, and refuse what they can't show."""

import io

import numpy as np
import pytest
from refusals import refused

import gatewright as gw
from gatewright.errors import DataError, OptionError, ShapeError
from gatewright.training.callbacks import History


@pytest.fixture
def model():
    return gw.Model(gw.Sequential(gw.GRU(2, 3, num_layers=2), gw.Dense(3, 1)), seed=0, dtype="float64")


def shown(axes):
    (image,) = axes.images
    return np.asarray(image.get_array())


def test_the_learning_curve_has_both_losses_and_the_best_epoch():
    figure = gw.viz.learning_curve(History({"loss": [3.0, 2.0, 1.0], "val_loss": [3.5, 2.5, 2.75]}))
    (axes,) = figure.axes
    training, validation, best = axes.lines
    np.testing.assert_array_equal(training.get_xydata(), [[1, 3], [2, 2], [3, 1]])
    np.testing.assert_array_equal(validation.get_ydata(), [3.5, 2.5, 2.75])
    assert best.get_xdata()[0] == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation", "best: epoch 2"]
    assert len(gw.viz.learning_curve(History({"loss": [3.0]})).axes[0].lines) == 2


@pytest.mark.parametrize("name", ["$\\foo$", "a$b$c", "long" * 99, "_", "two\nlines"])
def test_any_name_of_a_class_can_be_drawn(name):
    figure = gw.viz.confusion_matrix([0, 1], [0, 1], [name, "b"])
    figure.savefig(io.BytesIO(), format="png")
    shown = figure.axes[0].get_yticklabels()[0].get_text()
    assert shown == (name if len(name) < 25 else ("long" * 6)[:23] + "…")


@pytest.mark.parametrize(
    ("history", "scale"),
    [
        ({"loss": [3.0, 0.5, 0.04]}, "linear"),
        ({"loss": [3.0, 0.5, 0.02]}, "log"),
        ({"loss": [3.0, 1.0], "val_loss": [2.0, 0.02]}, "log"),
        ({"loss": [3.0, -1.0, 0.001]}, "linear"),
    ],
)
def test_losses_that_fall_far_are_drawn_by_their_logarithm(history, scale):
    assert gw.viz.learning_curve(History(history)).axes[0].get_yscale() == scale


def test_the_gate_maps_are_those_of_the_layer(model):
    x = np.random.default_rng(0).normal(size=(9, 2))
    figure = gw.viz.gate_maps(model, x, "0.layer1")
    maps = [axes for axes in figure.axes if axes.images and axes.get_ylabel()]
    assert [axes.get_ylabel() for axes in maps] == list("zrnh")
    h = model.network.layers[0].forward(model.parameters.scope("0"), x[None])[0][0]
    np.testing.assert_allclose(shown(maps[3]), h.T)
    assert maps[0].images[0].get_clim() == (0, 1)
    assert maps[3].images[0].get_clim() == (-np.abs(h).max(), np.abs(h).max())
    few = gw.viz.gate_maps(model, x, letters="hz")
    assert [axes.get_ylabel() for axes in few.axes if axes.images and axes.get_ylabel()] == ["z", "h"]
    assert few.get_suptitle() == "GRU 0.layer0"


def test_the_gradient_is_that_of_the_loss_that_is_asked_for(model):
    x = np.random.default_rng(0).normal(size=(9, 2))
    lines = [
        gw.viz.gate_maps(model, x, "0.layer1", y=y).axes[4].lines[0].get_ydata() for y in (np.zeros((9, 1)), np.ones((9, 1)))
    ]
    d = 2 * model.predict(x[None])[0] / 9 * np.linalg.norm(model.parameters["1.W"])
    assert lines[0][-1] == pytest.approx(abs(d[-1, 0]))
    assert lines[1][-1] != lines[0][-1]


def test_the_confusion_matrix_counts():
    figure = gw.viz.confusion_matrix([0, 0, 0, 1, 2, 2], [0, 0, 1, 1, 2, 0], ["a", "b", "c", "d"])
    (axes,) = figure.axes
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "2", (1, 0): "1", (1, 1): "1", (0, 2): "1", (2, 2): "1"}  # (predicted, true)
    np.testing.assert_allclose(shown(axes), [[2 / 3, 1 / 3, 0, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 0]])
    assert axes.get_title(loc="left") == "66.7% of 6 are right"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c", "d"]


def test_what_they_refuse(model):
    x = np.zeros((4, 2))
    with refused(OptionError, "layer='1'", "'0.layer0', '0.layer1'"):
        gw.viz.gate_maps(model, x, "1")
    with refused(OptionError, "letters='c'", "'z', 'r', 'n', 'h'"):
        gw.viz.gate_maps(model, x, letters="zc")
    with refused(DataError, "no finished epoch"):
        gw.viz.learning_curve(History())
    with refused(ShapeError, "(2,) and (3,)"):
        gw.viz.confusion_matrix([0, 1], [0, 1, 1])
    with refused(ShapeError, "(0,)"):
        gw.viz.confusion_matrix([], [])
    with refused(DataError, "predicted", "from 0"):
        gw.viz.confusion_matrix([0, 1], [0, -1])
    with refused(DataError, "true", "from 0"):
        gw.viz.confusion_matrix([0.5, 1], [0, 1])
    with refused(DataError, "class 10000000000", "at most 200"):
        gw.viz.confusion_matrix([0, 10**10], [0, 1])
    with refused(DataError, "1 labels, wanted 2"):
        gw.viz.confusion_matrix([0, 1], [0, 1], ["a"])


def test_the_fan_shows_the_series_its_forecasts_and_what_came():
    y, mean = [1.0, 2.0, np.nan, 4.0], np.array([5.0, 6.0])
    (axes,) = gw.viz.forecast_fan(y, (mean, mean - 1, mean + 2), actual=[5.5, 5.0]).axes
    observed, forecast, came = axes.lines
    np.testing.assert_array_equal(observed.get_xydata(), np.column_stack([[1, 2, 3, 4], y]))
    np.testing.assert_array_equal(forecast.get_xydata(), [[5, 5], [6, 6]])
    np.testing.assert_array_equal(came.get_ydata(), [5.5, 5.0])
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 0].min() == 5
    assert (corners[:, 1].min(), corners[:, 1].max()) == (4, 8)


def test_the_fans_levels_go_from_wide_to_narrow():
    mean = np.arange(3.0)
    fan = {level: (mean, mean - level, mean + level) for level in (0.5, 0.9, 0.8)}
    figure = gw.viz.forecast_fan(np.zeros(4), fan, at=np.arange("2020-01", "2020-08", dtype="datetime64[M]"))
    names, (axes,) = [text.get_text() for text in figure.legends[0].get_texts()], figure.axes
    assert names == ["observed", "90% interval", "80% interval", "50% interval", "forecast"]
    tops = [band.get_paths()[0].vertices[:, 1].max() for band in axes.collections]
    assert tops == [2.9, 2.8, 2.5]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([[1.0]], ([1], [1], [1])), "y: got shape (1, 1), wanted (T,)"),
        (([], ([1], [1], [1])), "y: got shape (0,), wanted (T,)"),
        (([1.0], ([1], [1])), "got 2 arrays, wanted three"),
        (([1.0], 7), "got a int, wanted three"),
        (([1.0], ([1, 2], [1], [1])), "lower: got shape (1,), wanted (2,)"),
        (([1.0], {0.5: ([1, 2], [1, 2], [1, 2]), 0.9: ([1], [1], [1])}), "steps, wanted"),
    ],
)
def test_what_is_no_fan_is_refused(given, words):
    with refused(ShapeError, words):
        gw.viz.forecast_fan(*given)


@pytest.mark.parametrize("level", [90, "0.9", 0, True])
def test_a_fans_levels_are_shares(level):
    with refused(OptionError, f"got the level {level!r}, wanted a number between 0 and 1"):
        gw.viz.forecast_fan([1.0], {level: ([1], [1], [1])})


def test_a_fan_needs_forecasts_and_times_for_all():
    with refused(DataError, "forecasts: got none"):
        gw.viz.forecast_fan([1.0], {})
    with refused(ShapeError, "at: got shape (1,), wanted (2,)"):
        gw.viz.forecast_fan([1.0], ([1], [1], [1]), at=[1])
    with refused(ShapeError, "actual: got shape (2,), wanted (1,)"):
        gw.viz.forecast_fan([1.0], ([1], [1], [1]), actual=[1, 2])
