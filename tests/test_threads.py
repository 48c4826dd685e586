"""Threads: how many, which work is shared, and that no bit depends on it."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

import gatewright as gw
from gatewright import threads
from gatewright.layers import pipeline

RNG = np.random.default_rng(3)
X = RNG.standard_normal((5, 40, 6)).astype(np.float32)
NETWORKS = {
    "one layer": gw.LSTM(6, 20),
    "directions": gw.GRU(6, 20, num_layers=2, bidirectional=True),
    "layers": gw.Sequential(gw.LSTM(6, 20, num_layers=3), gw.Dense(20, 2)),
    "last": gw.LSTM(6, 20, num_layers=2, return_sequences=False),
}


@pytest.fixture
def counted(monkeypatch):
    """Every work is worth a thread; counts the tasks of every call that had more than one."""
    seen = []
    for module in (threads, pipeline):
        monkeypatch.setattr(module, "LEAST", 1.0 if module is threads else 2e4)
    submit = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *a: seen.append(threading.current_thread()) or submit(*a))
    return seen


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_bit_depends_on_the_number_of_threads(name, rows, counted):
    x, results = X[:rows], []
    for count in (1, 2, 3):
        model = gw.Model(NETWORKS[name], seed=0, kernel="compiled", threads=count)
        began = len(counted)
        y, state = model.run(x)
        general = model._forward(x, None, None)[0]
        if model.layer.chunk_problem is None:
            stream = model.stream(rows)
            assert all(
                np.array_equal(stream.step(x[:, t]), model.predict(x[:, : t + 1])[:, -1]) for t in range(3) if y.ndim > 2
            )
        assert (len(counted) > began) == (count > 1 and (rows > 1 or name != "one layer"))
        assert np.array_equal(y, general)
        results.append([y, state])
    for got in results[1:]:
        for a, b in zip(got, results[0], strict=True):
            for (where, p), (_, q) in zip(gw.state.tree_items(a), gw.state.tree_items(b), strict=True):
                assert np.array_equal(p, q), where


def test_small_work_is_not_shared():
    assert threads.shares(32, threads.LEAST) == [slice(0, 32)]


def test_several_parts_for_each_thread_where_there_are_things_enough():
    with threads.Threads(2).allow():
        assert [part.stop - part.start for part in threads.shares(32, 1e12, 8)] == [8] * 4
        assert [part.stop - part.start for part in threads.shares(9, 1e12, 8)] == [4, 5]
        assert len(threads.shares(1000, 1e12, 8)) == 8
        assert len(threads.shares(1000, 3 * threads.LEAST, 8)) == 3
    with threads.Threads(1).allow():
        assert threads.shares(32, 1e12, 8) == [slice(0, 32)]


def test_no_more_threads_work_than_are_allowed():
    running, most, lock = set(), [0], threading.Lock()

    def task():
        with lock:
            running.add(threading.current_thread())
            most[0] = max(most[0], len(running))
        threading.Event().wait(0.002)

    threads.together([task] * 12, 2)
    assert most == [len(running)]
    assert len(running) <= 2


@pytest.mark.parametrize(("said", "wanted"), [("1", 1), ("2,1", 2), ("", 6), ("0", 1), ("many", 6), ("64", 6)])
def test_the_environment_bounds_what_is_available(said, wanted, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads.available() == wanted
    assert len(threads.shares(100, 1e12)) == wanted


def test_a_bound_ends_with_its_block(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threads.Threads(3).limit():
        assert len(threads.shares(100, 1e12)) == 3
        with threads.Threads(2).allow():
            assert len(threads.shares(100, 1e12)) == 2
    assert len(threads.shares(100, 1e12)) == 1


def test_work_on_a_thread_of_ours_is_not_shared_again():
    found = []
    meet = threading.Barrier(2, timeout=20)
    with threads.Threads(4).limit():
        threads.together([meet.wait, lambda: found.append(threads.shares(10, 1e12)) or meet.wait()])
    assert found == [[slice(0, 10)]]


def test_who_finds_the_threads_busy_works_alone():
    names, inner, meet = [], [], threading.Barrier(2, timeout=20)

    def task():
        meet.wait()  # both are running
        threads.together([lambda: inner.append(threading.current_thread().name)] * 2)
        names.append(threading.current_thread().name)

    threads.together([task, task])
    assert len(set(names)) == 2
    assert sorted(inner) == sorted(names * 2)


def test_what_no_thread_has_begun_is_done_here(monkeypatch):
    """As on a machine whose processors are all busy."""
    done, free = [], threading.Event()
    with ThreadPoolExecutor(1) as busy:
        busy.submit(free.wait)
        monkeypatch.setattr(threads, "_executors", [busy])
        threads.together([lambda k=k: done.append((k, threading.current_thread())) for k in range(3)])
        free.set()
    assert sorted(k for k, _ in done) == [0, 1, 2]
    assert {thread for _, thread in done} == {threading.current_thread()}


def test_where_no_thread_can_be_started_all_is_done_here(monkeypatch):
    """Too many threads, or a Python that is ending; and the next call is not locked out."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    done = []
    with monkeypatch.context() as patched:
        patched.setattr(ThreadPoolExecutor, "submit", refuse)
        for _ in range(2):
            threads.together([lambda: done.append(threading.current_thread())] * 3)
    assert done == [threading.current_thread()] * 6
    meet = threading.Barrier(2, timeout=20)
    threads.together([meet.wait, meet.wait])  # two threads again, or this would not end


def test_an_error_on_any_thread_is_raised_here_when_all_are_done():
    done, meet = [], threading.Barrier(2, timeout=20)

    def wrong():
        meet.wait()
        raise ZeroDivisionError

    def right():
        meet.wait()
        done.append(1)

    for tasks in ([wrong, right], [right, wrong]):
        with pytest.raises(ZeroDivisionError):
            threads.together(tasks)
    assert done == [1, 1]
    threads.together([right, right])
    assert done == [1, 1, 1, 1]


def test_stretches_are_even_and_leave_nothing_out():
    for count in (0, 1, 7, 100):
        for parts in (1, 2, 3, 7):
            found = threads.stretches(count, parts)
            assert [found[0].start, found[-1].stop] == [0, count]
            assert all(a.stop == b.start for a, b in pairwise(found))
            sizes = [part.stop - part.start for part in found]
            assert max(sizes) - min(sizes) <= 1


def _shared_in_a_child(result):
    done, meet = [], threading.Barrier(2, timeout=20)
    threads.together([lambda: done.append(threading.current_thread().name) or meet.wait()] * 2)
    result.put(len(set(done)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own():
    threads.together([lambda: None] * 2)
    context = multiprocessing.get_context("fork")
    result = context.Queue()
    child = context.Process(target=_shared_in_a_child, args=(result,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert result.get(timeout=5) == 2


@pytest.mark.parametrize("layer", [gw.LSTM(6, 20, num_layers=2), gw.GRU(6, 9, bidirectional=True), gw.RNN(6, 16)], ids=repr)
def test_training_shares_the_rows(layer, counted):
    """The same gradients up to rounding, and the same bits each time."""
    y = RNG.standard_normal((5, 40, 2)).astype(np.float32)
    lengths = [40, 7, 21, 40, 3]
    found = []
    for count in (1, 2, 3, 3):
        net = gw.Sequential(layer, gw.Dense(layer.shape_out((1, 1, 6))[-1], 2))
        model, began = gw.Model(net, seed=0, kernel="compiled", threads=count), len(counted)
        grads = [model.gradients(X, y)[1].flat, model.gradients(X, y, lengths=lengths)[1].flat]
        assert (len(counted) > began) == (count > 1)
        model.fit(X, y, epochs=2, verbose=False)
        found.append([*grads, model.parameters.flat])
    for got in found[1:]:
        for a, b in zip(got, found[0], strict=True):
            assert np.abs(a - b).max() < 1e-5 * np.abs(b).max()
    for a, b in zip(found[2], found[3], strict=True):
        assert np.array_equal(a, b)


def test_blas_has_one_thread_where_compiled_code_does_the_work(monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    bounds, loss = [], gw.losses.MSE()

    def spying(pred, target):
        bounds.append({pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"})
        return loss(pred, target)

    x, y = X[:2, :3], RNG.standard_normal((2, 3, 20)).astype(np.float32)
    with threadpoolctl.threadpool_limits(2):
        for kernel in ("compiled", "numpy"):
            gw.Model(gw.LSTM(6, 20), seed=0, kernel=kernel).fit(x, y, loss=spying, verbose=False)
    assert bounds == [{1}, {2}]
