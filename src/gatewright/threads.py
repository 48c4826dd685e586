"""How many threads the linear algebra may use."""

import contextlib
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any

from gatewright.checks import whole_number
from gatewright.errors import missing_extra


class Threads:
    """A bound on BLAS' threads: `count` None leaves them as the environment says; a number needs threadpoolctl."""

    def __init__(self, count: int | None) -> None:
        if count is not None:
            whole_number("threads", count)
            if find_spec("threadpoolctl") is None:
                raise missing_extra("threadpoolctl", "fast", f"threads={count}")
        self.count = count

    def limit(self) -> AbstractContextManager[Any]:
        """The bound, for the time of a `with` block."""
        if self.count is None:
            return contextlib.nullcontext()
        import threadpoolctl

        limits: AbstractContextManager[Any] = threadpoolctl.threadpool_limits(self.count)
        return limits
