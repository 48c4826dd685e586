"""What is measured, once: the sizes, and the bars that gatewright has set itself."""

from typing import NamedTuple

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FRAMEWORKS = ("pytorch", "onnxruntime")
ALL = (*FRAMEWORKS, "openvino")


class Work(NamedTuple):
    """A sequence, or one step a call, through a recurrent network."""

    kind: str
    features: int
    hidden: int
    batch: int
    steps: int
    layers: int = 1
    bidirectional: bool = False

    @property
    def name(self) -> str:
        """As the tables have it."""
        sizes = [f"F={self.features}"] if self.features != self.hidden else []
        sizes += [f"H={self.hidden}", f"B={self.batch}", f"T={self.steps}"]
        sizes += [f"{self.layers} layers"] if self.layers > 1 else []
        return " ".join([self.kind, *sizes, *(["bidirectional"] if self.bidirectional else [])])

    @property
    def flops(self) -> int:
        """Of the products x W and h U alone."""
        ways = 1 + self.bidirectional
        inputs = [self.features] + [ways * self.hidden] * (self.layers - 1)
        rows = self.batch * self.steps * ways * GATES[self.kind] * self.hidden
        return sum(2 * rows * (size + self.hidden) for size in inputs)


class Training(NamedTuple):
    """A whole step: forward, loss, backward, clip, Adam."""

    kind: str
    features: int
    hidden: int
    outputs: int
    steps: int
    batch: int
    layers: int

    @property
    def name(self) -> str:
        """As the tables have it."""
        sizes = f"F={self.features} H={self.hidden} out={self.outputs} T={self.steps} B={self.batch}"
        return f"{self.kind} {sizes}" + (f" {self.layers} layers" if self.layers > 1 else "")


class Bar(NamedTuple):
    """gatewright is to be at least so many times as fast as the fastest of these."""

    against: tuple[str, ...]
    least: float


STREAM = {
    Work(kind, size, size, 1, 1): (
        Bar(("pytorch",), 10 if size < 256 else 3),
        Bar(("onnxruntime",), 2 if size < 256 else 1.4),
    )
    for kind in ("LSTM", "GRU")
    for size in (16, 64, 128, 256)
}
INFERENCE = {
    Work(kind, size, size, batch, 100): (
        Bar(FRAMEWORKS, 1.0 if size < 512 else 0.95),
        *([Bar(ALL, 0.95)] if 128 <= size < 512 else []),
    )
    for kind in GATES
    for size in (32, 64, 128, 256, 512)
    for batch in (1, 8, 32)
}
INFERENCE_MEANS = (Bar(FRAMEWORKS, 1.25), Bar(ALL, 1.15))  # geometric means over all of INFERENCE
SHARE = 65  # percent of the core's peak, for these
SHARED = [work for work in INFERENCE if work.batch >= 8 and 64 <= work.hidden <= 256]
ODD = {
    Work(kind, features, size, batch, 7): (Bar(ALL, 0.95),)
    for kind in GATES
    for size in (50, 100, 200)
    for features in (1, 3)
    for batch in (5, 17)
}
BIDIRECTIONAL = {Work(kind, 128, 128, 32, 100, 2, True): (Bar(ALL, 1.2),) for kind in GATES}
TRAINING = {
    Training(kind, *sizes): (Bar(("pytorch",), least),)
    for kind in ("LSTM", "GRU")
    for sizes, least in (
        ((1, 32, 1, 24, 32, 1), 3),
        ((12, 64, 9, 29, 32, 1), 2),
        ((64, 128, 65, 64, 32, 1), 1.1),
        ((64, 128, 65, 64, 32, 2), 1.1),
        ((128, 256, 65, 100, 64, 2), 1.1),
    )
}
TRAINING_MEANS = (Bar(("pytorch",), 1.6),)
TAIL = [Work("LSTM", size, size, 1, 1) for size in (16, 64)]
TAIL_STEPS = 1_000_000
START = Work("LSTM", 64, 64, 1, 100)
START_LIMITS = {"seconds": 0.12, "megabytes": 40}  # of a process that has its kernels from the library
