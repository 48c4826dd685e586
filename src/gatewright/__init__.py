"""gatewright: recurrent networks in NumPy. Train, check, run and ship RNNs, LSTMs and GRUs without a framework.

import gatewright as gw

model = gw.Model(gw.Sequential(gw.LSTM(1, 32), gw.Dense(32, 1)), seed=0)
model.fit(x, y, epochs=20)
y = model.predict(x)
"""

from typing import TYPE_CHECKING, Any

from gatewright.activations import Activation
from gatewright.checking import Report, UninformativeError, gradcheck
from gatewright.errors import (
    DataError,
    FormatError,
    GatewrightError,
    MissingExtraError,
    MissingFileError,
    NotFiniteError,
    OptionError,
    ShapeError,
)
from gatewright.importers import from_keras, from_onnx, from_pytorch, from_rtneural, load
from gatewright.layers import (
    GRU,
    LSTM,
    RNN,
    Activate,
    AveragePooling1D,
    BatchNorm,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Layer,
    LayerNorm,
    Masking,
    MaxPooling1D,
    Parallel,
    RepeatVector,
    Residual,
    Sequential,
    Shared,
)
from gatewright.model import Model
from gatewright.parameters import Parameters
from gatewright.steps import Steps
from gatewright.streaming import Stream

if TYPE_CHECKING:  # loaded by __getattr__ below, when something of it is first used: who only runs a model does without
    from gatewright import viz
    from gatewright.estimators import Forecaster as Forecaster
    from gatewright.estimators import SequenceClassifier as SequenceClassifier
    from gatewright.estimators import SequenceRegressor as SequenceRegressor
    from gatewright.interop.onnx.session import OnnxGraph
    from gatewright.text.model import TextModel
    from gatewright.text.settings import TextSettings
    from gatewright.training import losses
    from gatewright.training.callbacks import Callback, CSVLogger, EarlyStopping, History, JSONLogger
    from gatewright.training.checkpoint import Checkpoint, ResumeWarning
    from gatewright.training.metrics import Metric
    from gatewright.training.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
    from gatewright.training.schedules import Cosine, ReduceOnPlateau, Schedule, StepDecay, Warmup

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Activate",
    "Activation",
    "Adam",
    "AdamW",
    "AveragePooling1D",
    "BatchNorm",
    "Bidirectional",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "Conv1D",
    "Cosine",
    "DataError",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "FormatError",
    "GatewrightError",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "History",
    "JSONLogger",
    "Layer",
    "LayerNorm",
    "Masking",
    "MaxPooling1D",
    "Metric",
    "MissingExtraError",
    "MissingFileError",
    "Model",
    "NotFiniteError",
    "OnnxGraph",
    "Optimizer",
    "OptionError",
    "Parallel",
    "Parameters",
    "RMSprop",
    "ReduceOnPlateau",
    "RepeatVector",
    "Report",
    "Residual",
    "ResumeWarning",
    "Schedule",
    "Sequential",
    "ShapeError",
    "Shared",
    "StepDecay",
    "Steps",
    "Stream",
    "TextModel",
    "TextSettings",
    "UninformativeError",
    "Warmup",
    "from_keras",
    "from_onnx",
    "from_pytorch",
    "from_rtneural",
    "gradcheck",
    "load",
    "losses",
    "viz",
]


# Public too, but not among the names of `from gatewright import *`, which has to work without their extra.
_WITH_EXTRA = ("Forecaster", "SequenceClassifier", "SequenceRegressor")


def __getattr__(name: str) -> Any:
    if name not in (*__all__, *_WITH_EXTRA):
        raise AttributeError(f"module 'gatewright' has no attribute {name!r}")
    if name == "OnnxGraph":
        from gatewright.interop.onnx.session import OnnxGraph

        return OnnxGraph
    if name == "viz":
        import gatewright.viz as viz

        return viz
    if name == "TextModel":
        from gatewright.text.model import TextModel

        return TextModel
    if name == "TextSettings":
        from gatewright.text.settings import TextSettings

        return TextSettings
    if name in _WITH_EXTRA:
        from gatewright import estimators

        return getattr(estimators, name)
    from gatewright import training

    return getattr(training, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_WITH_EXTRA})
