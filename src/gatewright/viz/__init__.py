"""Pictures for notebooks and papers, by matplotlib, and the gate explorer.

The pictures are `learning_curve`, `gate_maps`, `forecast_fan` and `confusion_matrix`.

Each gives a matplotlib Figure, which `.savefig("name.png")` writes. They need `gatewright[plot]`; `model.explore` does not.
"""

from typing import TYPE_CHECKING, Any

from gatewright.errors import missing_extra

if TYPE_CHECKING:  # loaded by __getattr__ below: matplotlib may not be there
    from gatewright.viz.notebook import confusion_matrix, forecast_fan, gate_maps, learning_curve

__all__ = ["confusion_matrix", "forecast_fan", "gate_maps", "learning_curve"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'gatewright.viz' has no attribute {name!r}")
    try:
        from gatewright.viz import notebook
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise missing_extra("matplotlib", "plot", f"gw.viz.{name}") from None
    return getattr(notebook, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
