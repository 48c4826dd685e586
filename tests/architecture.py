"""The rules about imports and sizes that test_architecture.py enforces, as functions on source text.

Nothing here imports gatewright: the files are read, not run, so that lazy imports count too.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "gatewright"

# A module imports from the rungs below its own; within a rung too, as long as that makes no circle.
# A new top-level module or package has to be given its place here (and in ARCHITECTURE.md).
LADDER: tuple[tuple[str, ...], ...] = (
    ("errors", "checks", "arrays", "activations", "threads"),
    ("parameters", "initializers", "steps", "state", "checking"),
    ("cells",),
    ("kernels",),
    ("layers",),
    ("prepared", "training", "streaming", "inputs", "files", "tables", "weights", "interop"),
    ("model", "importers"),
    ("forecasting", "text", "viz", "data"),
    ("estimators",),
    ("cli",),
)
ROOT_MODULES = ("__init__", "__main__")  # on top of everything: the public names, `python -m gatewright`

# Exception 1: only `layers` looks up `kernels`, in one place, inside a try or a function: the folder may be deleted.
# Exception 2: `model` reaches up to `viz`, inside a function, so that matplotlib stays unloaded until something is drawn.
UPWARD = {("model", "viz")}

# Who may import what from outside. "lazy": only inside a function, because it may not be installed or is slow to load.
EVERYONE = tuple(unit for rung in LADDER for unit in rung)
OUTSIDE: dict[str, tuple[tuple[str, ...], str]] = {
    "numpy": ((*EVERYONE, *ROOT_MODULES), "anywhere"),
    "safetensors": (("training", "files", "interop", "model"), "anywhere"),
    "llvmlite": (("kernels",), "anywhere"),
    "h5py": (("interop",), "lazy"),
    "onnx": (("interop",), "lazy"),
    "keras": (("cli",), "lazy"),  # these three for `convert --verify` alone
    "torch": (("cli",), "lazy"),
    "onnxruntime": (("cli",), "lazy"),
    "matplotlib": (("viz",), "anywhere"),
    "sklearn": (("estimators",), "anywhere"),
    "rich": (("checking", "training", "model", "viz", "cli"), "lazy"),
    "threadpoolctl": (("threads", "training"), "lazy"),
}
# Nothing that a file says is ever run.
FORBIDDEN_MODULES = frozenset({"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "runpy"})
FORBIDDEN_CALLS = frozenset({"eval", "exec", "compile", "__import__"})

COMPUTED = "<a name computed at run time>"

FILE_LIMIT = 400
BODY_LIMIT = 60
CORE = ("arrays", "errors", "checks", "activations", "threads", "parameters", "initializers", "steps", "state", "checking")
CORE += ("cells", "layers", "prepared", "training", "streaming", "inputs", "files", "tables", "weights", "model")
CORE_LIMIT = 5950  # the design aims at 3,000; ARCHITECTURE.md says where the rest went. It may only fall.


class Import(NamedTuple):
    """One imported module: its full dotted name, the line, and whether it stands in a function or in a try."""

    name: str
    line: int
    lazy: bool
    guarded: bool


def files() -> list[Path]:
    """Every source file of the library."""
    return sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """`layers.base` for src/gatewright/layers/base.py, `layers` for its `__init__.py`, `__init__` for the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def unit_of(module: str) -> str:
    """The top-level module or package that a module belongs to."""
    return module.partition(".")[0]


def rung(unit: str) -> int | None:
    """How high a unit stands; None if it has no place."""
    if unit in ROOT_MODULES:
        return len(LADDER)
    return next((height for height, units in enumerate(LADDER) if unit in units), None)


def walk(node: ast.AST, lazy: bool = False, guarded: bool = False) -> Iterator[tuple[ast.AST, bool, bool]]:
    """Every node below, with whether it stands inside a function and inside the body of a try."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                tried = guarded or (isinstance(node, ast.Try) and field == "body")
                yield child, inside, tried
                yield from walk(child, inside, tried)


def imports(tree: ast.AST) -> Iterator[Import]:
    """Every import of a file: statements wherever they stand, and calls of `import_module` and `find_spec`."""
    for node, lazy, guarded in walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            # `from gatewright import layers` means a module; elsewhere the part before `import` says enough.
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "gatewright" else [base]
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "find_spec"):
            first = node.args[0] if node.args else None
            names = [first.value if isinstance(first, ast.Constant) else COMPUTED]
        for name in names:
            yield Import(name, getattr(node, "lineno", 0), lazy, guarded)


def _called(node: ast.Call) -> str:
    """The last word of what is called: `load` of `np.load(…)`."""
    func = node.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _inside(unit: str, target: str, found: Import) -> str | None:
    """What is wrong with an import of one unit of the library by another."""
    mine, theirs = rung(unit), rung(target)
    if theirs is None or target in ROOT_MODULES:
        return f"imports {found.name}: name the module that defines it, and give a new one its place in LADDER"
    if mine is None:
        return None  # said once for the whole file
    if target == "kernels" and unit != "kernels":
        if unit != "layers":
            return "imports kernels: only layers looks them up"
        return None if found.lazy or found.guarded else "imports kernels unguarded: the folder may be deleted"
    if (unit, target) in UPWARD:
        return None if found.lazy else f"imports {target} at the top: inside a function only"
    return f"imports {target}, which stands higher" if theirs > mine else None


def _outside(unit: str, package: str, found: Import) -> str | None:
    """What is wrong with an import from outside the library."""
    if package in FORBIDDEN_MODULES:
        return f"imports {package}: nothing is unpickled or run from a file"
    if package in sys.stdlib_module_names:
        return None
    if package not in OUTSIDE:
        return f"imports {found.name}, which is not in OUTSIDE"
    allowed, where = OUTSIDE[package]
    if unit not in allowed:
        return f"imports {package}, which only {', '.join(allowed)} may"
    return f"imports {package} at the top: inside a function only" if where == "lazy" and not found.lazy else None


def import_complaints(module: str, source: str) -> list[str]:
    """What is wrong with the imports of a file."""
    unit = unit_of(module)
    wrong = [] if rung(unit) is not None else [f"{module}: {unit} has no place: add it to LADDER in tests/architecture.py"]
    for found in imports(ast.parse(source)):
        first, _, rest = found.name.partition(".")
        target = unit_of(rest) if rest else "__init__"
        if not first:
            complaint = f"imports {found.name}: write the full name, from gatewright down"
        elif first == "gatewright":
            complaint = None if target == unit else _inside(unit, target, found)
        else:
            complaint = _outside(unit, first, found)
        if complaint:
            wrong.append(f"{module}:{found.line} {complaint}")
    return wrong


def call_complaints(module: str, source: str) -> list[str]:
    """Calls that would run what a file says."""
    wrong = []
    for node, _, _ in walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        by_name = isinstance(node.func, ast.Name) or ast.unparse(node.func).startswith("builtins.")
        if by_name and _called(node) in FORBIDDEN_CALLS:
            wrong.append(f"{module}:{node.lineno} calls {_called(node)}")
        for keyword in node.keywords:
            if keyword.arg == "allow_pickle" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
                wrong.append(f"{module}:{node.lineno} allows pickles")
    return wrong


def size_complaints(module: str, source: str) -> list[str]:
    """Files and function bodies that are too long; a docstring is no part of a body."""
    length = len(source.splitlines())
    wrong = [f"{module}: {length} lines, the limit is {FILE_LIMIT}"] if length > FILE_LIMIT else []
    for node, _, _ in walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > BODY_LIMIT:
                wrong.append(f"{module}:{node.lineno} {node.name}: a body of {lines} lines, the limit is {BODY_LIMIT}")
    return wrong


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which units each unit imports, the upward exceptions left out."""
    edges: dict[str, set[str]] = {}
    for module, source in sources.items():
        unit = unit_of(module)
        for found in imports(ast.parse(source)):
            first, _, rest = found.name.partition(".")
            target = unit_of(rest)
            if first == "gatewright" and target and target != unit and (unit, target) not in UPWARD:
                edges.setdefault(unit, set()).add(target)
    return edges


def code_lines(source: str) -> int:
    """The number of lines that hold code: no blank ones, no comments, no docstrings."""
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in empty]
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def core_lines() -> dict[str, int]:
    """The number of lines of code of each unit from arrays to model."""
    lines = dict.fromkeys(CORE, 0)
    for path in files():
        unit = unit_of(module_of(path))
        if unit in lines:
            lines[unit] += code_lines(path.read_text(encoding="utf-8"))
    return lines
