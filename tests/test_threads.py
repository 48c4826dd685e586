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


@pytest.mark.parametrize(
    ("said", "wanted"),
    [("1", 1), ("2,1", 2), ("", 6), ("0", 1), ("many", 6), ("64", 6)],
    ids=lambda value: str(value) or "unset",
)
def test_the_environment_bounds_what_is_available(said, wanted, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert threads.available() == wanted
    assert len(threads.shares(100, 1e12)) == wanted


def test_a_bound_ends_with_its_block(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threads.Threads(3).limit():
        assert len(threads.shares(100, 1e12)) == 3
        with threads.Threads(2).limit(blas=False):
            assert len(threads.shares(100, 1e12)) == 2
    assert len(threads.shares(100, 1e12)) == 1


def test_work_on_a_thread_of_ours_is_not_shared_again():
    found = []
    with threads.Threads(4).limit():
        threads.together([lambda: None, lambda: found.append(threads.shares(10, 1e12))])
    assert found == [[slice(0, 10)]]


def test_who_finds_the_threads_busy_works_alone():
    names, inner = [], []

    def task():
        threads.together([lambda: inner.append(threading.current_thread().name)] * 2)
        names.append(threading.current_thread().name)

    threads.together([task, task])
    assert len(set(names)) == 2
    assert sorted(inner) == sorted(names * 2)


def test_an_error_on_a_thread_is_raised_here_when_all_are_done():
    done = []

    def wrong():
        raise ZeroDivisionError

    for tasks in ([wrong, lambda: done.append(1)], [lambda: done.append(1), wrong]):
        with pytest.raises(ZeroDivisionError):
            threads.together(tasks)
    assert done == [1, 1]
    threads.together([lambda: done.append(2)] * 2)
    assert done == [1, 1, 2, 2]


def test_stretches_are_even_and_leave_nothing_out():
    for count in (0, 1, 7, 100):
        for parts in (1, 2, 3, 7):
            found = threads.stretches(count, parts)
            assert [found[0].start, found[-1].stop] == [0, count]
            assert all(a.stop == b.start for a, b in pairwise(found))
            sizes = [part.stop - part.start for part in found]
            assert max(sizes) - min(sizes) <= 1


def _shared_in_a_child(result):
    done = []
    threads.together([lambda: done.append(threading.current_thread().name) for _ in range(2)])
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
