"""The trainer: accumulation, truncation, states, weights, what is refused, and what happens when it goes wrong."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gatewright.errors import DataError, NotFiniteError, OptionError
from gatewright.layers import GRU, LSTM, RNN, Bidirectional, Dense, Dropout, Sequential
from gatewright.parameters import Parameters
from gatewright.state import tree_map
from gatewright.steps import Steps
from gatewright.training import trainer
from gatewright.training.callbacks import Callback, EarlyStopping
from gatewright.training.losses import MSE
from gatewright.training.metrics import Metric
from gatewright.training.optimizers import SGD, Adam
from gatewright.training.schedules import Cosine, ReduceOnPlateau, StepDecay, Warmup
from gatewright.training.trainer import Data, FitOptions

NET = Sequential(LSTM(2, 4), Dense(4, 3))


def draw(layer=NET, scale=0.5, dtype=float):
    shapes = layer.init(np.random.default_rng(0)).shapes
    return Parameters.of({n: scale * np.random.default_rng(1).standard_normal(s) for n, s in shapes.items()}, dtype=dtype)


def make(rows=12, time=6, seed=0, **more):
    rng = np.random.default_rng(seed)
    return Data(rng.standard_normal((rows, time, 2)), rng.standard_normal((rows, time, 3)), **more)


def train(data, layer=NET, params=None, **options):
    """(parameters after, history)"""
    params = draw(layer) if params is None else params
    options = {"optimizer": SGD(0.1), "verbose": False, "shuffle": False, "rng": np.random.default_rng(3)} | options
    history = trainer.fit(layer, params, data, FitOptions(**options))
    return params, history


def ragged(rows=12, time=6):
    """Data of which much is dead, with weights."""
    rng = np.random.default_rng(8)
    steps = Steps(rng.integers(0, time + 1, rows), rng.random((rows, time)) < 0.7)
    return make(rows, time, steps=steps, sample_weight=rng.random((rows, time)) * 3)


def test_training_learns_and_modifies_only_the_parameters():
    data = make()
    data = data._replace(y=np.cumsum(data.x, axis=1)[..., [0, 1, 1]] / 2)
    before = data.x.copy(), data.y.copy()
    _, history = train(data, optimizer=Adam(0.02), epochs=60, batch_size=4, shuffle=True, clip_norm=1.0)
    assert history.loss[-1] < 0.1 * history.loss[0]
    assert history.epochs == list(range(1, 61))
    assert np.array_equal(data.x, before[0])
    assert np.array_equal(data.y, before[1])


def in_place(pred, target):
    """The squared error, by a user who writes over what he gets."""
    pred -= target
    target[:] = np.nan
    return pred * pred, np.multiply(pred, 2, out=pred)


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_own_loss_may_write_into_what_it_gets(shuffle):
    data = make()
    before = data.x.copy(), data.y.copy()
    ours, theirs = (train(data, loss=loss, epochs=2, batch_size=4, shuffle=shuffle) for loss in ("mse", in_place))
    assert np.array_equal(ours[0].flat, theirs[0].flat)
    assert np.array_equal(data.x, before[0])
    assert np.array_equal(data.y, before[1])


class Careless(MSE):
    def __call__(self, pred, target):
        target += 1
        return super().__call__(pred, target)


def test_nothing_writes_into_the_data():
    data = make()
    before = data.y.copy()
    with pytest.raises(ValueError, match="read-only"):
        train(data, loss=Careless())
    assert np.array_equal(data.y, before)


class Destroyer(SGD):
    def step(self, p, g, slots, segment, count):
        super().step(p, g, slots, segment, count)
        g[:] = np.nan


def test_an_optimizer_may_use_the_gradient_up():
    options = {"epochs": 2, "batch_size": 3, "accumulate": 2}
    assert np.array_equal(train(ragged(), optimizer=Destroyer(0.1), **options)[0].flat, train(ragged(), **options)[0].flat)


def test_fits_in_two_threads_know_nothing_of_each_other():
    def one(seed):
        return train(make(seed=seed), optimizer=Adam(0.01), epochs=20, batch_size=4, shuffle=True, clip_norm=1.0)[0].flat

    alone = [one(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert all(map(np.array_equal, pool.map(one, range(4)), alone))


def test_one_update_is_the_gradients_step():
    data = ragged()
    loss, gradients = trainer.loss_and_gradients(NET, draw(), data, "huber")
    params, history = train(data, loss="huber", batch_size=12)
    np.testing.assert_allclose(params.flat, draw().flat - 0.1 * gradients.flat, rtol=0, atol=1e-15)
    assert history.loss == [pytest.approx(loss, rel=1e-14)]


@pytest.mark.parametrize("tbptt", [None, (2, 4)])
def test_accumulation_equals_one_large_batch(tbptt):
    data = ragged()
    whole, at_once = train(data, batch_size=6, epochs=3, tbptt=tbptt, metrics=("mae",))
    parts, in_parts = train(data, batch_size=2, accumulate=3, epochs=3, tbptt=tbptt, metrics=("mae",))
    np.testing.assert_allclose(whole.flat, parts.flat, rtol=0, atol=1e-13)
    np.testing.assert_allclose(at_once.loss, in_parts.loss, rtol=1e-13)
    np.testing.assert_allclose(at_once.mae, in_parts.mae, rtol=1e-13)


def test_the_last_batch_may_be_smaller():
    data = make(5)
    params = draw()
    for rows in (slice(0, 2), slice(2, 4), slice(4, 5)):
        _, gradients = trainer.loss_and_gradients(NET, params, Data(data.x[rows], data.y[rows]), "mse")
        with params.edit() as flat:
            flat -= 0.1 * gradients.flat
    np.testing.assert_allclose(train(data, batch_size=2)[0].flat, params.flat, rtol=0, atol=1e-15)


def test_values_at_dead_steps_are_never_read():
    data = ragged()
    dead = ~data.steps.live(12, 6)
    x, y = data.x.copy(), data.y.copy()
    x[dead], y[dead] = np.nan, np.inf
    clean, dirty = train(data, epochs=2, batch_size=4), train(data._replace(x=x, y=y), epochs=2, batch_size=4)
    assert np.array_equal(clean[0].flat, dirty[0].flat)
    assert clean[1].loss == dirty[1].loss


def test_a_batch_without_weight_makes_no_update():
    weight = np.ones(12)
    weight[4:8] = 0
    updates = []
    train(make(sample_weight=weight), batch_size=4, callbacks=(Updates(updates),))
    assert updates == [1, 1, 2]


class Updates(Callback):
    """Notes the number of updates at every call."""

    def __init__(self, seen):
        self.seen = seen

    def on_update_end(self, info):
        self.seen.append(info.update)

    def on_epoch_end(self, info):
        pass


def test_shuffling_and_dropout_come_from_the_generator():
    layer = Sequential(LSTM(2, 4), Dropout(0.3), Dense(4, 3))

    def run(seed, shuffle=True):
        return train(make(), layer, batch_size=5, epochs=3, shuffle=shuffle, rng=np.random.default_rng(seed))[0].flat

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))
    assert not np.array_equal(run(1), run(1, shuffle=False))


def test_frozen_names_stay_and_have_no_part_in_the_norm():
    params = draw()
    params.set_trainable("0", False)
    _, gradients = trainer.loss_and_gradients(NET, params, make(), "mse")
    norm = np.sqrt(sum((g**2).sum() for name, g in gradients.items() if name.startswith("1.")))
    after, _ = train(make(), params=params.copy(), batch_size=12, clip_norm=norm / 2, optimizer=SGD(1.0, weight_decay=0.0))
    assert np.array_equal(after["0.W"], params["0.W"])
    np.testing.assert_allclose(params["1.W"] - after["1.W"], gradients["1.W"] / 2, rtol=1e-5)


def test_class_weights_count_in_training_and_not_in_validation():
    rng = np.random.default_rng(0)
    data = Data(rng.standard_normal((6, 5, 2)), rng.integers(0, 3, (6, 5)))
    value, _ = trainer.loss_and_gradients(NET, draw(), data, "cross_entropy", {0: 4.0})
    plain, _ = trainer.loss_and_gradients(NET, draw(), data, "cross_entropy")
    _, history = train(
        data,
        loss="cross_entropy",
        class_weight={0: 4.0},
        validation=data,
        optimizer=SGD(0),
        batch_size=6,
        metrics=("accuracy",),
    )
    assert value != pytest.approx(plain)
    assert history.loss == [pytest.approx(value)]
    assert history.val_loss == [pytest.approx(plain)]
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


# --- truncated back-propagation and carried states


def numerical(function, flat):
    """The gradient of a function of a vector, by complex step."""
    found = np.zeros(len(flat))
    for k in range(len(flat)):
        moved = flat.astype(complex)
        moved[k] += 1e-30j
        found[k] = function(moved).imag / 1e-30
    return found


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (2, 2), (2, 3), (1, 4), (3, 5), (4, 6), (7, 9)])
def test_truncation_against_its_definition(k1, k2):
    """An update every k1 steps: the losses of those, back through k2 steps, from the state that stood k2 steps before."""
    layer, data, time = Sequential(GRU(2, 2), Dense(2, 3)), make(3, 7), 7
    live = np.random.default_rng(2).random((3, 7)) < 0.8
    data = data._replace(steps=Steps(mask=live))
    params, start, state = draw(layer), 0, None
    for stop in [*range(k1, time, k1), time]:
        fresh = stop - k1 if stop % k1 == 0 else stop - stop % k1

        def loss(flat, start=start, state=state, fresh=fresh, stop=stop):
            moved = params.astype(complex)
            with moved.edit() as whole:
                whole[:] = flat
            given = tree_map(lambda array: array.astype(complex), state)
            y = layer.forward(moved, data.x[:, start:stop], given, steps=data.steps.window(start, stop))[0]
            error = (y[:, fresh - start :] - data.y[:, fresh:stop])[live[:, fresh:stop]]
            return (error**2).sum() / error.size

        upcoming = max(0, min(stop + k1, time) - k2)
        gradient = numerical(loss, params.flat)
        # The state where the next window begins, as this window's parameters make it.
        if upcoming > start:
            state = layer.forward(params, data.x[:, start:upcoming], state, steps=data.steps.window(start, upcoming))[1]
        with params.edit() as flat:
            flat -= 0.1 * gradient
        start = upcoming
    found, history = train(data, layer, tbptt=(k1, k2), batch_size=3)
    np.testing.assert_allclose(found.flat, params.flat, rtol=0, atol=1e-13)
    assert len(history.loss) == 1


def test_a_window_of_everything_is_no_truncation():
    assert np.array_equal(train(make(), tbptt=6)[0].flat, train(make())[0].flat)


def test_windows_carry_the_state():
    """With a learning rate of zero the mean loss over windows is that of whole sequences."""
    whole = train(ragged(), optimizer=SGD(0), batch_size=4)[1].loss
    for tbptt in (1, 2, (2, 5), (4, 4)):
        assert train(ragged(), optimizer=SGD(0), batch_size=4, tbptt=tbptt)[1].loss == pytest.approx(whole, rel=1e-13)


@pytest.mark.parametrize("options", [{}, {"accumulate": 3}, {"tbptt": (2, 3)}, {"accumulate": 2, "epochs": 2}])
def test_stateful_rows_go_on_in_the_next_batch(options):
    long = make(4, 18)
    pieces = Data(*(np.concatenate(np.split(a, 3, axis=1)) for a in (long.x, long.y)))  # row j goes on in row j + 4
    whole = train(long, optimizer=SGD(0), batch_size=4)[1].loss[0]
    found = train(pieces, optimizer=SGD(0), batch_size=4, stateful=True, **options)[1].loss
    assert found == pytest.approx([whole] * len(found), rel=1e-13)
    assert train(pieces, optimizer=SGD(0), batch_size=4)[1].loss[0] != pytest.approx(whole, rel=1e-6)


# --- what is refused


def ending(info):
    info.stop("enough")


def wordy(rate, clock):
    return "x"


def later(rate, clock):
    return None if clock.epoch else rate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: got 0"),
        ({"batch_size": 2.5}, "batch_size: got 2.5"),
        ({"accumulate": True}, "accumulate: got True"),
        ({"shuffle": "yes"}, "shuffle: got 'yes', wanted True or False"),
        ({"clip_norm": 0}, "clip_norm: got 0, wanted a number above 0"),
        ({"clip_value": -1.0}, "clip_value: got -1.0"),
        ({"clip_norm": 1.0, "clip_value": 1.0}, "clip_norm and clip_value: one of them"),
        ({"tbptt": (3, 2)}, "tbptt: k2=2 is less than k1=3: the loss of the first 1 of every 3 steps would be left out"),
        ({"tbptt": 0}, "tbptt: k1: got 0"),
        ({"tbptt": (1, 2, 3)}, r"wanted a number of steps, or two: \(k1, k2\)"),
        ({"tbptt": 2, "layer": Sequential(RNN(2, 3, return_sequences=False), Dense(3, 3))}, "one output a row"),
        (
            {"tbptt": 2, "layer": Sequential(Bidirectional(LSTM(2, 2)), Dense(4, 3))},
            "Bidirectional reads the sequence from its end",
        ),
        ({"tbptt": 2, "layer": Sequential(LSTM(2, 3, go_backwards=True), Dense(3, 3))}, "begins at the end of the sequence"),
        ({"stateful": True, "shuffle": True}, "takes the rows in their order: say shuffle=False"),
        ({"stateful": True, "batch_size": 5}, "12 rows can't be divided by batch_size=5"),
        ({"stateful": True, "layer": Sequential(Bidirectional(LSTM(2, 2)), Dense(4, 3)), "batch_size": 4}, "piece by piece"),
        ({"stateful": True, "tbptt": 2, "accumulate": 2, "batch_size": 4}, "before its states are known"),
        ({"resume": True}, "resume=True needs checkpoint="),
        ({"loss": "mze"}, "loss='mze' is unknown; known: 'mse'"),
        ({"optimizer": "adagrad"}, "optimizer='adagrad' is unknown; known: 'sgd'"),
        ({"optimizer": SGD(groups={"9.*": {"weight_decay": 0}})}, "no parameter matches '9.*'"),
        ({"metrics": ("accuracy",)}, "metric 'accuracy' is for"),
        ({"callbacks": (3,)}, "callbacks: got 3"),
        ({"schedule": 0.1}, "schedule: got 0.1, wanted a schedule"),
        ({"schedule": wordy}, "the schedule wordy: got 'x', wanted a number from 0 up, the learning rate"),
        ({"schedule": lambda rate, clock: -rate}, "the schedule .*lambda>: got -0.1, wanted a number from 0 up"),
        ({"schedule": lambda rate, clock: np.nan}, "the schedule .*lambda>: got nan, wanted a number from 0 up"),
        ({"schedule": ReduceOnPlateau(monitor="val_loss")}, "monitor='val_loss' is unknown; known: 'loss', 'learning_rate'"),
    ],
)
def test_impossible_options(options, message):
    layer = options.pop("layer", NET)
    y_of_last = isinstance(layer.layers[0], RNN)
    data = make()._replace(y=make().y[:, 0]) if y_of_last else make()
    params = draw(layer)
    before = params.flat.copy()
    with pytest.raises(OptionError, match=message):
        train(data, layer, params, **options)
    assert np.array_equal(params.flat, before)


def test_a_schedule_that_gives_nothing_in_the_second_epoch():
    params, once = draw(), train(make())[0]
    with pytest.raises(OptionError, match="the schedule later: got None, wanted a number from 0 up, the learning rate"):
        train(make(), params=params, schedule=later, epochs=2)
    assert np.array_equal(params.flat, once.flat)


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ({"metrics": Metric("twice", lambda p, y, w: 2.0)}, {"metrics": [Metric("twice", lambda p, y, w: 2.0)]}),
        ({"metrics": "mae"}, {"metrics": iter(["mae"])}),
        ({"metrics": None, "callbacks": None}, {"metrics": [], "callbacks": ()}),
        ({"callbacks": EarlyStopping("loss", 1, 9.0)}, {"callbacks": [EarlyStopping("loss", 1, 9.0)]}),
        ({"callbacks": ending}, {"callbacks": [ending]}),
    ],
)
def test_one_metric_or_callback_needs_no_list(one, several):
    single, listed = train(make(), epochs=3, **one)[1], train(make(), epochs=3, **several)[1]
    assert single == listed
    assert bool(single.stopped) == bool(one.get("callbacks"))
    if "callbacks" not in one:
        scores = trainer.evaluate(NET, draw(), make(), "mse", one["metrics"])
        assert [*scores, "learning_rate"] == list(single.history)


def test_nothing_to_train():
    params = draw()
    params.set_trainable("*", False)
    with pytest.raises(OptionError, match="every parameter is frozen"):
        train(make(), params=params)
    with pytest.raises(DataError, match="no loss to compute: no row, no live step, or every weight is zero"):
        train(make(0))


# --- schedules, and what goes wrong


def test_the_schedule_moves_the_learning_rate():
    history = train(make(), schedule=StepDecay(2, 0.5), epochs=5, optimizer=SGD(0.4))[1]
    assert history.learning_rate == [0.4, 0.4, 0.2, 0.2, 0.1]
    by_update = train(make(), schedule=Cosine(6, per="update"), batch_size=4, epochs=2, optimizer=SGD(0.4))
    by_hand = train(make(), schedule=lambda rate, clock: 0.2 * (1 + np.cos(np.pi * clock.update / 6)), batch_size=4, epochs=2)
    np.testing.assert_allclose(by_update[0].flat, by_hand[0].flat, rtol=0, atol=1e-14)
    still = train(make(), schedule=ReduceOnPlateau(0.5, 0), epochs=4, optimizer=SGD(0.0))[1]
    assert still.learning_rate == [0.0] * 4
    risen = train(make(), schedule=ReduceOnPlateau(0.5, 0, mode="max"), epochs=4, optimizer=SGD(0.1))[1]
    assert risen.learning_rate == [0.1, 0.1, 0.05, 0.025]


def test_a_group_without_a_learning_rate_stays_as_it_is():
    optimizer = SGD(0.1, groups={"0": {"learning_rate": 0.0}})
    params, _ = train(make(), optimizer=optimizer, schedule=ReduceOnPlateau(0.5, 0, mode="max", minimum=0.01), epochs=4)
    assert np.array_equal(params["0.W"], draw()["0.W"])
    assert not np.array_equal(params["1.W"], draw()["1.W"])


def test_a_schedule_is_told_the_updates_made_before():
    seen = []

    def rising(rate, clock):
        seen.append((clock.update, clock.epoch))
        return rate * clock.update

    params = Parameters.of({"0.W": np.ones((1, 1))})
    data = Data(np.ones((2, 3, 1)), np.zeros((2, 3, 1)))
    _, history = train(data, Sequential(Dense(1, 1, bias=False)), params, batch_size=1, epochs=2, schedule=rising)
    assert sorted(set(seen)) == [(0, 0), (1, 0), (2, 1), (3, 1)]
    # The loss W² has the gradient 2 W, so that every step multiplies W by 1 - 2 η, η = 0, 0.1, 0.2, 0.3.
    np.testing.assert_allclose(params.flat, 1 * 0.8 * 0.6 * 0.4, rtol=1e-14)
    assert history.learning_rate == [0.1, 0.1 * 3], "the rate of the epoch's last update"


def test_the_first_step_of_a_warm_up_from_zero_moves_nothing():
    params = draw()
    _, history = train(make(), params=params, schedule=Warmup(4, start=0.0))
    assert np.array_equal(params.flat, draw().flat)
    assert history.learning_rate == [0.0]


def exploding(rate=8.0):
    """A linear RNN whose state is multiplied by `rate` at each step, and its data: row 2 explodes from step 2 on."""
    layer = Sequential(Dense(2, 2), RNN(2, 1, activation="linear"), Dense(1, 3))
    params = Parameters.of({n: np.ones(s) for n, s in layer.init(np.random.default_rng(0)).shapes.items()}, dtype=np.float32)
    params.assign({"1.U": np.full((1, 1), rate)})
    x = np.full((4, 8, 2), 1e-3, np.float32)
    x[2, 2] = 3e37
    return layer, params, x


def test_infinity_is_traced_to_layer_step_and_row():
    layer, params, x = exploding()
    before = params.flat.copy()
    data = Data(x, np.zeros((4, 8, 3)))
    with pytest.raises(
        NotFiniteError, match=r"epoch 1, update 2: layer 1 \(RNN\) gave inf at step 3 in row 2; the parameters are"
    ):
        train(data, layer, params, batch_size=2, optimizer=SGD(0.0))
    assert np.array_equal(params.flat, before)


def test_the_row_is_that_of_the_data_after_shuffling():
    layer, params, x = exploding()
    for seed in range(4):
        with pytest.raises(NotFiniteError, match="at step 3 in row 2;"):
            train(Data(x, np.zeros((4, 8, 3))), layer, params.copy(), batch_size=2, shuffle=True,
                  optimizer=SGD(0.0), rng=np.random.default_rng(seed))  # fmt: skip


def test_the_step_is_that_of_the_data_under_truncation():
    layer, params, x = exploding()
    with pytest.raises(NotFiniteError, match=r"epoch 1, update 4: layer 1 \(RNN\) gave inf at step 3 in row 2;"):
        train(Data(x, np.zeros((4, 8, 3))), layer, params, loss=lambda p, y: (p, 0 * p), tbptt=(1, 2), optimizer=SGD(0.0))


def test_an_infinite_loss_is_told_from_an_infinite_layer():
    def own(pred, target):
        values = (pred - target) ** 2
        values[3, 1] = np.nan
        return values, 2 * (pred - target)

    with pytest.raises(NotFiniteError, match=r"update 1: the loss .*own gave nan at step 1 in row 3;"):
        train(make(), loss=own)


@pytest.mark.parametrize("layer", [NET, Sequential(Dense(2, 3)), Sequential(RNN(2, 3, return_sequences=False))])
def test_an_infinite_gradient_of_the_loss_is_blamed_on_it(layer):
    def own(pred, target):
        gradient = np.ones_like(pred)
        gradient[1, ..., -1, 2] = gradient[2, ..., -2, 0] = np.nan
        return pred, gradient

    def own_of_last(pred, target):
        return pred, np.where(np.arange(len(pred))[:, None] == 2, np.inf, pred)

    timed = not isinstance(layer.layers[0], RNN)
    data = make() if timed else make()._replace(y=make().y[:, 0])
    said = "own gave a gradient of nan at step 4 in row 2;" if timed else "own_of_last gave a gradient of inf in row 2;"
    with pytest.raises(NotFiniteError, match=f"update 1: the loss .*{said}"):
        train(data, layer, loss=own if timed else own_of_last)


def test_an_exploding_gradient_is_traced_to_the_last_step_it_comes_from():
    layer, params, x = exploding(1e10)
    params.assign({"0.b": np.zeros(2), "1.b": np.zeros(1)})

    def own(pred, target):
        gradient = np.zeros_like(pred)
        gradient[1, 7] = 1000
        return 0 * pred, gradient

    with pytest.raises(NotFiniteError, match=r"the gradient of layer 1 \(RNN\) became inf at step 3 in row 1;"):
        train(Data(0 * x, np.zeros((4, 8, 3))), layer, params, loss=own)


def test_dropout_falls_on_the_same_places_when_a_batch_is_traced():
    layer = Sequential(Dropout(0.5), Dense(2, 3))
    x = np.full((4, 8, 2), 3e38, np.float32)  # doubled where it is not dropped
    kept = np.random.default_rng(3).random(x.shape) >= 0.5
    step = min(np.argwhere(kept)[:, 1])
    row = min(row for row, t, _ in np.argwhere(kept) if t == step)
    assert (step, row) != (0, 0)
    with pytest.raises(NotFiniteError, match=rf"layer 0 \(Dropout\) gave inf at step {step} in row {row};"):
        train(Data(x, np.zeros((4, 8, 3))), layer, draw(layer, dtype=np.float32))


def test_a_step_that_overflows_is_taken_back():
    params = draw(dtype=np.float32)
    with pytest.raises(NotFiniteError, match=r"update 1: the step itself overflowed, with a learning rate of 1e\+300"):
        train(make(), params=params, optimizer=SGD(1e300))
    assert np.array_equal(params.flat, draw(dtype=np.float32).flat)


def test_the_parameters_are_those_before_the_bad_update():
    good, _ = train(make(), batch_size=4)

    calls = []

    def own(pred, target):
        calls.append(1)
        values, gradient = (pred - target) ** 2, 2 * (pred - target)
        return (values * np.nan if len(calls) > 3 else values), gradient

    params = draw()
    with pytest.raises(NotFiniteError, match="epoch 2, update 4"):
        train(make(), params=params, loss=own, batch_size=4, epochs=2)
    np.testing.assert_allclose(params.flat, good.flat, rtol=0, atol=1e-15)


def test_infinite_validation_is_traced():
    layer, params, x = exploding(1.0)
    params.assign({"1.U": np.full((1, 1), 8.0)})
    good = Data(np.full((4, 2, 2), 1e-3, np.float32), np.zeros((4, 2, 3)))
    with pytest.raises(NotFiniteError, match=r"in the validation data layer 1 \(RNN\) gave inf at step 3 in row 2"):
        train(good, layer, params, validation=Data(x, np.zeros((4, 8, 3))), optimizer=SGD(0.0))


def test_parameters_that_are_not_finite_from_the_start():
    params = draw()
    params.assign({"1.b": np.array([0, np.nan, 0])})
    with pytest.raises(NotFiniteError, match="before the first update"):
        train(make(), params=params)


def interrupt_at(epoch):
    def interrupt(info):
        if info.epoch == epoch:
            raise KeyboardInterrupt

    return interrupt


def test_control_c_keeps_the_best_weights(capsys):
    kept = []
    params = draw()

    def uphill(rate, clock):
        return rate if clock.epoch < 2 else 30 * rate  # the loss rises from the third epoch on

    with pytest.raises(KeyboardInterrupt):
        train(make(), params=params, epochs=9, schedule=uphill, validation=make(),
              callbacks=(lambda info: kept.append(info.params.flat.copy()), interrupt_at(5)))  # fmt: skip
    assert np.array_equal(params.flat, kept[1])
    assert not np.array_equal(kept[1], kept[4])
    said = capsys.readouterr().err
    assert said.startswith("interrupted: the model has the best weights so far, those of epoch 2 (val_loss ")
    assert said.count("\n") == 1


def test_control_c_in_the_middle_of_an_update(capsys):
    class Stopped(SGD):
        def step(self, p, g, slots, segment, count):
            p += 100
            raise KeyboardInterrupt

    params = draw()
    with pytest.raises(KeyboardInterrupt):
        train(make(), params=params, optimizer=Stopped())
    assert np.array_equal(params.flat, draw().flat)
    assert "no epoch was finished, the model has the weights after 0 updates" in capsys.readouterr().err
