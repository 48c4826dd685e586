"""How many threads the linear algebra may use."""

import contextlib
from contextlib import AbstractContextManager
from typing import Any

from gatewright.errors import OptionError, missing_extra


class Threads:
    """A bound on BLAS' threads: `count` None leaves them as the environment says; a number needs threadpoolctl."""

    def __init__(self, count: int | None) -> None:
        if count is not None:
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise OptionError(f"threads: got {count!r}, wanted a whole number of at least 1, or None")
            try:
                import threadpoolctl  # type: ignore[import-untyped] # noqa: F401
            except ImportError:
                raise missing_extra("threadpoolctl", "fast", f"threads={count}") from None
        self.count = count

    def limit(self) -> AbstractContextManager[Any]:
        """The bound, for the time of a `with` block."""
        if self.count is None:
            return contextlib.nullcontext()
        import threadpoolctl

        return threadpoolctl.threadpool_limits(self.count)  # type: ignore[no-any-return]
