"""Layers: parameters and wiring, each forward/backward pair side by side."""

from gatewright.layers.base import Layer
from gatewright.layers.bidirectional import Bidirectional
from gatewright.layers.containers import Residual, Sequential, Shared, leaves
from gatewright.layers.convolution import Conv1D
from gatewright.layers.final import final_activation, fold_final
from gatewright.layers.first import Embedding, Masking
from gatewright.layers.gated import GRU, LSTM, RNN
from gatewright.layers.parallel import Parallel
from gatewright.layers.pooling import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from gatewright.layers.recurrent import Recurrent
from gatewright.layers.simple import Dense, Dropout, LayerNorm
from gatewright.layers.stepwise import Activate, BatchNorm, RepeatVector
from gatewright.layers.store import from_json, to_json

__all__ = [
    "GRU", "LSTM", "RNN", "Activate", "AveragePooling1D", "BatchNorm", "Bidirectional", "Conv1D", "Dense", "Dropout",
    "Embedding", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Layer", "LayerNorm", "Masking", "MaxPooling1D", "Parallel",
    "Recurrent", "RepeatVector", "Residual", "Sequential", "Shared", "final_activation", "fold_final", "from_json", "leaves",
    "to_json",
]  # fmt: skip
