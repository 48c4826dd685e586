"""How many threads a model's work may use: those of compiled code, which are started here, and BLAS' own."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from gatewright.checks import whole_number
from gatewright.errors import missing_extra

LEAST = 2e7  # operations for which a thread is worth its while: a tenth of a millisecond

_allowed: ContextVar[int | None] = ContextVar("allowed", default=None)
_one_at_a_time = threading.Lock()
_executors: list[Any] = []  # one, once it was needed
_numbers: list[int] = []  # of its threads, as the system counts them
_away: list[int] = []  # the processor that they keep off


class Threads:
    """A bound on the threads of a model's work: `count` None is `available()`; a number, for BLAS, needs threadpoolctl."""

    def __init__(self, count: int | None) -> None:
        if count is not None:
            whole_number("threads", count)
            if find_spec("threadpoolctl") is None:
                raise missing_extra("threadpoolctl", "fast", f"threads={count}")
        self.count = count

    @contextlib.contextmanager
    def allow(self) -> Iterator[None]:
        """The bound on our own threads, for the time of a `with` block."""
        before = _allowed.set(self.count)
        try:
            yield
        finally:
            _allowed.reset(before)

    @contextlib.contextmanager
    def limit(self, compiled: bool = False) -> Iterator[None]:
        """The bound on both, for the time of a `with` block; BLAS keeps the environment's where `count` is None.

        compiled: most of the work is compiled code's. Then BLAS has little to do and gets one thread: its own, which wait
        busily, would take our threads' processors; on a busy machine a product of 50 us was seen to take 24 ms.
        """
        bound = self.count
        if compiled and (self.count or available()) > 1 and find_spec("threadpoolctl") is not None:
            bound = 1
        with self.allow(), contextlib.ExitStack() as stack:
            if bound is not None:
                stack.enter_context(_libraries().limit(limits=bound))
            yield


def available() -> int:
    """The processors that this process may use, or fewer if OMP_NUM_THREADS says so, as joblib does for its workers."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, min(processors, int(said))) if said.isdigit() else processors


def allowed() -> int:
    """How many threads may share a work here and now."""
    return _allowed.get() or available()


def shares(count: int, operations: float, fewest: int = 0) -> list[slice]:
    """`count` things dealt out evenly over the threads that work of so many operations is worth.

    fewest: with several threads, up to four parts for each, of so many things or more: who is held up then does fewer of them.
    """
    if operations < 2 * LEAST:  # most often; to ask how many processors there are would take longer than it looks
        return [slice(0, count)]
    parts = threads = int(max(1, min(allowed(), count, operations // LEAST)))
    if fewest and threads > 1:
        parts = int(max(threads, min(4 * threads, count // fewest, operations // LEAST)))
    return stretches(count, parts)


def stretches(count: int, parts: int) -> list[slice]:
    """`count` things in so many parts, as even as can be."""
    stops = [count * k // parts for k in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(stops)]


def together(tasks: Sequence[Callable[[], None]], threads: int | None = None) -> None:
    """Runs tasks that don't depend on each other on so many threads (None: one each), this one among them.

    Each takes the next task when it is done with one; all are done here if our threads are busy, or not yet awake.
    """
    left = deque(tasks)

    def work() -> None:
        while True:
            try:
                task = left.popleft()
            except IndexError:
                return
            task()

    helpers = min(len(tasks), threads or len(tasks)) - 1
    if helpers < 1 or not _one_at_a_time.acquire(blocking=False):
        work()
        return
    others: list[Any] = []
    try:
        _keep_off(_processor())
        with contextlib.suppress(RuntimeError):  # no thread can be started: there are too many, or Python is ending
            others.extend(_executor().submit(work) for _ in range(helpers))
        work()
    finally:
        left.clear()
        failures = [other.exception() for other in others if not other.cancel()]  # waits for those that run
        _one_at_a_time.release()
    for failure in filter(None, failures):
        raise failure


@cache
def _libraries() -> Any:
    """The thread pools of the libraries that NumPy brought; to look for them takes a millisecond."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


def _executor() -> Any:
    if not _executors:
        from concurrent.futures import ThreadPoolExecutor

        _executors.append(ThreadPoolExecutor(64, "gatewright", initializer=_begin))
    return _executors[0]


def _begin() -> None:
    """What a thread of ours does first."""
    _allowed.set(1)
    _numbers.append(threading.get_native_id())
    _keep_off(_away.pop() if _away else None)


def _keep_off(processor: int | None) -> None:
    """Moves our threads off the processor of who calls: schedulers wake a thread where its waker runs, idle ones or not."""
    if processor is None or processor in _away or len(others := os.sched_getaffinity(os.getpid()) - {processor}) == 0:
        return
    for number in _numbers:
        with contextlib.suppress(OSError):  # of a sandbox, or a thread that has ended
            os.sched_setaffinity(number, others)
    _away[:] = [processor]


def _processor() -> int | None:
    """The number of the processor that runs this, where the system tells."""
    return _system().sched_getcpu() if hasattr(os, "sched_setaffinity") and hasattr(_system(), "sched_getcpu") else None


@cache
def _system() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def _forget() -> None:
    """After a fork: the child has none of the threads, and the lock may be held by one."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    for kept in (_executors, _numbers, _away):
        kept.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
