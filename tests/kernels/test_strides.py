"""Training reads the rows that it was given, and nothing around them."""

import numpy as np
import pytest

import gatewright as gw


@pytest.mark.parametrize("layer", [gw.RNN(3, 4), gw.LSTM(3, 16), gw.GRU(3, 4), gw.GRU(3, 4, reset_after=False)], ids=repr)
@pytest.mark.parametrize(("rows", "steps"), [(1, 6), (1, 1), (3, 1), (3, 6)])
def test_nothing_but_the_rows_given_is_read(layer, rows, steps):
    rng = np.random.default_rng(0)
    model = gw.Model(gw.Sequential(layer, gw.Dense(layer.hidden_size, 2)), seed=0, kernel="compiled")
    x, y = rng.standard_normal((rows, steps, 3)).astype(np.float32), rng.standard_normal((rows, steps, 2)).astype(np.float32)
    around = np.full((3 * rows + 9, steps, 3), np.nan, np.float32)
    around[3 : 3 + rows] = x
    wanted = model.gradients(x, y)[1].flat
    assert np.count_nonzero(wanted) > (0.9 if steps > 1 else 0.1) * wanted.size  # one step alone knows no U
    assert np.array_equal(model.gradients(around[3 : 3 + rows], y)[1].flat, wanted)
    model.fit(around[3 : 3 + rows], y, verbose=False)
    assert np.isfinite(model.parameters.flat).all()
