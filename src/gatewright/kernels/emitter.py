"""The emitter: LLVM code written from Python, one function at a time, for vectors of `lanes` float32.

An address is a 64-bit integer, counted in bytes; a number in Python stands for a constant. A value is made where it is
written down, so the order of the lines is the order of the operations. No fast-math flag is ever set: what is emitted is what
is computed, in this order and with these roundings, whatever the width of the vectors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

Value: TypeAlias = Any  # an SSA value of llvmlite, which has no stubs
Term: TypeAlias = Any  # a summand of an address: a value, a number, or a tuple of those to be multiplied

FLOAT = 4  # bytes


class Emitter:
    """An LLVM module under construction."""

    def __init__(self, lanes: int) -> None:
        from llvmlite import ir  # here, because who runs the library writes no code and needs no llvmlite

        self.ir: Any = ir
        self.f32, self.i32, self.i64, self.void = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.VoidType()
        self.lanes, self.width = lanes, FLOAT * lanes  # the width of a vector in bytes
        self.vector, self.integers = ir.VectorType(self.f32, lanes), ir.VectorType(self.i32, lanes)
        self.module = ir.Module("gatewright")
        self.b: Any = None  # the builder of the function that is being written

    def text(self) -> str:
        """The module as LLVM's text."""
        return str(self.module)

    # --- functions, loops and choices

    @contextmanager
    def function(self, name: str, arguments: int, public: bool = False) -> Iterator[Sequence[Value]]:
        """A function of so many integers, written inside the `with` block, which gets its arguments."""
        function = self.ir.Function(self.module, self.ir.FunctionType(self.void, [self.i64] * arguments), name)
        if not public:
            function.linkage = "internal"
            function.attributes.add("noinline")  # one copy of each: compiled once, short to read
        outer, self.b = self.b, self.ir.IRBuilder(function.append_basic_block())
        yield function.args
        self.b.ret_void()
        self.b = outer

    def call(self, name: str, *arguments: Value) -> None:
        """Calls a function of this module."""
        self.b.call(self.module.get_global(name), [self.n(a) for a in arguments])

    @contextmanager
    def each(self, count: Value, carried: list[Value] | None = None) -> Iterator[Value]:
        """for k in range(count): the lines inside the `with` block, which gets k; no turn at all is allowed.

        `carried` holds values that go from turn to turn: inside they are this turn's and may be replaced, after it the last.
        """
        held = [] if carried is None else carried
        before, head = self.b.block, self.b.append_basic_block()
        inside, after = self.b.append_basic_block(), self.b.append_basic_block()
        self.b.branch(head)
        self.b.position_at_end(head)
        first = [self.n(0), *held]
        phis = [self.b.phi(value.type) for value in first]
        held[:] = phis[1:]
        self.b.cbranch(self.less(phis[0], count), inside, after)
        self.b.position_at_end(inside)
        yield phis[0]
        for phi, begin, result in zip(phis, first, [self.add(phis[0], 1), *held], strict=True):
            phi.add_incoming(begin, before)
            phi.add_incoming(result, self.b.block)
        self.b.branch(head)
        self.b.position_at_end(after)
        held[:] = phis[1:]

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """if condition: the lines inside the `with` block."""
        with self.b.if_then(condition):
            yield

    # --- whole numbers and addresses

    def n(self, value: Value) -> Value:
        """A number of Python's as a constant; anything else as it is."""
        return self.i64(value) if isinstance(value, int) else value

    def add(self, *terms: Term) -> Value:
        """The sum of terms, a tuple being a product first."""
        total: Value = None
        for term in terms:
            if isinstance(term, tuple):
                value = self.n(term[0])
                for factor in term[1:]:
                    value = self.b.mul(value, self.n(factor))
            else:
                value = self.n(term)
            total = value if total is None else self.b.add(total, value)
        return total

    def less(self, a: Value, b: Value) -> Value:
        """a < b, of whole numbers."""
        return self.b.icmp_signed("<", self.n(a), self.n(b))

    def equal(self, a: Value, b: Value) -> Value:
        """a == b, of whole numbers."""
        return self.b.icmp_signed("==", self.n(a), self.n(b))

    def odd(self, a: Value) -> Value:
        """Whether a whole number is odd."""
        return self.equal(self.b.and_(self.n(a), self.n(1)), 1)

    def choose(self, condition: Value, a: Term, b: Term) -> Value:
        """a where the condition holds, else b."""
        return self.b.select(condition, self.add(a), self.add(b))

    def divide(self, a: Value, b: Value) -> tuple[Value, Value]:
        """(quotient, remainder) of whole numbers that are not negative."""
        return self.b.udiv(self.n(a), self.n(b)), self.b.urem(self.n(a), self.n(b))

    # --- memory

    def _pointer(self, address: Value, kind: Any) -> Value:
        return self.b.inttoptr(address, self.ir.PointerType(kind))

    def load(self, *address: Term) -> Value:
        """The vector at an address, aligned or not."""
        return self.b.load(self._pointer(self.add(*address), self.vector), align=FLOAT)

    def prefetch(self, *address: Term) -> None:
        """Asks for the cache line at an address, which need not exist, to be brought near."""
        pointer = self._pointer(self.add(*address), self.ir.IntType(8))
        kind = self.ir.FunctionType(self.void, [pointer.type, self.i32, self.i32, self.i32])
        name = "llvm.prefetch.p0" if getattr(pointer.type, "is_opaque", False) else "llvm.prefetch.p0i8"
        function = self.module.globals.get(name) or self.ir.Function(self.module, kind, name)
        self.b.call(function, [pointer, *(self.i32(value) for value in (0, 3, 1))])  # to be read, to stay, data

    def store(self, value: Value, *address: Term) -> None:
        """Writes a vector."""
        self.b.store(value, self._pointer(self.add(*address), self.vector), align=FLOAT)

    def load_all(self, *address: Term) -> Value:
        """A vector whose every lane is the float at an address."""
        return self.splat(self.b.load(self._pointer(self.add(*address), self.f32), align=FLOAT))

    def store_part(self, value: Value, kept: Value, address: Value, left: Value) -> None:
        """Writes a vector at an address where `left` floats may be written, or fewer; `kept` is where it stands whole."""
        with self.b.if_else(self.less(self.lanes - 1, left)) as (whole, part):
            with whole:
                self.store(value, address)
            with part:
                self.copy(kept, address, left)

    def copy(self, source: Value, target: Value, count: Value, step: int = FLOAT) -> None:
        """Copies `count` floats that stand side by side to places that are `step` bytes apart."""
        with self.each(count) as k:
            value = self.b.load(self._pointer(self.add(source, (k, FLOAT)), self.f32), align=FLOAT)
            self.b.store(value, self._pointer(self.add(target, (k, step)), self.f32), align=FLOAT)

    def field(self, block: Value, index: int) -> Value:
        """The index-th whole number of an argument block."""
        return self.b.load(self._pointer(self.add(block, 8 * index), self.i64), align=8)

    def set_field(self, block: Value, index: int, value: Value) -> None:
        """Writes the index-th whole number of a block."""
        self.b.store(value, self._pointer(self.add(block, 8 * index), self.i64), align=8)

    # --- vectors

    def splat(self, scalar: Value) -> Value:
        """A vector whose every lane is `scalar`."""
        nothing = self.vector(self.ir.Undefined)
        first = self.b.insert_element(nothing, scalar, self.i32(0))
        return self.b.shuffle_vector(first, nothing, self.integers([self.i32(0)] * self.lanes))

    def constant(self, value: float) -> Value:
        """A vector of one float32."""
        return self.vector([self.f32(float(np.float32(value)))] * self.lanes)

    def intrinsic(self, name: str, *vectors: Value) -> Value:
        """One of LLVM's functions on vectors, such as fma: exact by definition."""
        full = f"llvm.{name}.v{self.lanes}f32"
        function = self.module.globals.get(full)
        if function is None:
            function = self.ir.Function(self.module, self.ir.FunctionType(self.vector, [self.vector] * len(vectors)), full)
        return self.b.call(function, vectors)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def plus(self, a: Value, b: Value) -> Value:
        return self.b.fadd(a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.b.fmul(a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.b.fsub(a, b)

    def div(self, a: Value, b: Value) -> Value:
        return self.b.fdiv(a, b)

    def negative(self, a: Value) -> Value:
        return self.b.fneg(a)

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        """a in the lanes where the condition holds, else b."""
        return self.b.select(condition, a, b)

    def below(self, a: Value, b: Value) -> Value:
        """a < b in every lane; False where one is NaN."""
        return self.b.fcmp_ordered("<", a, b)

    def smaller(self, a: Value, b: Value) -> Value:
        """a where a < b, else b: b where one is NaN."""
        return self.where(self.below(a, b), a, b)

    def larger(self, a: Value, b: Value) -> Value:
        """a where b < a, else b: b where one is NaN."""
        return self.where(self.below(b, a), a, b)

    def shifted(self, a: Value, bits: int) -> Value:
        """The bits of every lane moved up, read as a float32 again."""
        whole = self.b.bitcast(a, self.integers)
        by = self.integers([self.i32(bits)] * self.lanes)
        return self.b.bitcast(self.b.shl(whole, by), self.vector)
