"""SequenceRegressor: sequences in, numbers out."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array

from gatewright.arrays import Array
from gatewright.errors import DataError, ShapeError, one_of
from gatewright.estimators import store
from gatewright.estimators.base import SequenceEstimator, Task
from gatewright.estimators.scaling import Scaler

LOSSES = ("mse", "mae", "huber")


class SequenceRegressor(RegressorMixin, SequenceEstimator):  # type: ignore[misc]
    """Predicts numbers from sequences with a recurrent network, as a scikit-learn estimator; needs `gatewright[sklearn]`.

    X is what gw.SequenceClassifier takes; y is (n,), or (n, O) for O numbers a sequence. The parameters are those of
    gw.SequenceClassifier, but for class_weight. loss: "mse", "mae" or "huber", of the standardised targets. standardize: the
    features and the targets; predictions are in the targets' units.

    Fitted: as of gw.SequenceClassifier, but for classes_; n_outputs_, O; target_mean_ and target_scale_ (O,), what the targets
    are standardised with; validation_scores_, the coefficients of determination on what was set aside, or None; model_, the
    gw.Model, whose input and output are standardised.
    """

    def __init__(
        self,
        cell: str = "gru",
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "max",
        dropout: float = 0.0,
        loss: str = "mse",
        epochs: int = 100,
        batch_size: int | str = "auto",
        learning_rate: float = 0.01,
        schedule: str = "cosine",
        optimizer: str = "adam",
        clip_norm: float | None = 1.0,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        patience: int = 10,
        warm_start: bool = False,
        random_state: Any = None,
        standardize: bool = True,
        layout: str = "ntc",
        dtype: Any = "float32",
        kernel: str = "auto",
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.cell, self.hidden_size, self.num_layers, self.bidirectional = cell, hidden_size, num_layers, bidirectional
        self.pooling, self.dropout, self.loss, self.epochs, self.batch_size = pooling, dropout, loss, epochs, batch_size
        self.learning_rate, self.schedule, self.optimizer, self.clip_norm = learning_rate, schedule, optimizer, clip_norm
        self.early_stopping, self.validation_fraction, self.patience = early_stopping, validation_fraction, patience
        self.warm_start, self.random_state, self.standardize, self.layout = warm_start, random_state, standardize, layout
        self.dtype, self.kernel, self.threads, self.verbose = dtype, kernel, threads, verbose

    _kind = "sequence regressor"
    _flat: bool  # whether y was (n,)
    n_outputs_: int

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Goes once through the sequences X, as `fit` takes them, and their targets y, at the full learning rate.

        The first call's sequences and targets decide on the standardisation.
        """
        return self._partial_fit(X, y, sample_weight, hasattr(self, "model_"))

    def predict(self, X: Any) -> Array:
        """(n,), or (n, O) as y was, for the sequences X, as `fit` takes them."""
        told = self._told(self._outputs(X))
        return told[:, 0] if self._flat else told

    def _targets(self, y: Any, known: bool) -> Array:
        if self.loss not in LOSSES:
            raise one_of("loss", self.loss, LOSSES)
        targets = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y", estimator=self)
        if targets.ndim > 2 or not targets.ndim:
            raise ShapeError(f"y: got shape {targets.shape}, wanted (n,) or (n, outputs)")
        flat, outputs = targets.ndim == 1, 1 if targets.ndim == 1 else targets.shape[1]
        if known and (flat, outputs) != (self._flat, self.n_outputs_):
            raise ShapeError(f"y: got shape {targets.shape}, wanted {self.n_outputs_} outputs, shaped as in the first call")
        self._flat, self.n_outputs_ = flat, outputs
        columns: Array = targets.reshape(len(targets), outputs)
        return columns

    def _learned(self, y: Array) -> Array:
        return self._target_scaler.forward(y)

    def _told(self, outputs: Array) -> Array:
        return self._target_scaler.inverse(outputs.astype(float))

    def _quality(self, y: Array, told: Array, weight: Array) -> float:
        return float(r2_score(y, told, sample_weight=weight)) if len(y) > 1 else float("nan")

    def _prepare(self, train: Task) -> None:
        self._target_scaler = Scaler.fit(train.y, train.weight) if self.standardize else Scaler.idle(self.n_outputs_)
        self.target_mean_, self.target_scale_ = self._target_scaler

    def _ends(self) -> tuple[int, str | None, str]:
        return self.n_outputs_, None, self.loss

    def _told_apart(self) -> dict[str, Any]:
        return {"flat": self._flat, "targets": [array.tolist() for array in self._target_scaler]}

    def _take(self, described: dict[str, Any]) -> None:
        if self.loss not in LOSSES:
            raise one_of("loss", self.loss, LOSSES)
        self._flat, self.n_outputs_ = described["flat"], len(described["targets"][0])
        if not isinstance(self._flat, bool) or (self._flat and self.n_outputs_ != 1):
            raise DataError("flat: wanted true or false, true for one target alone")
        self._target_scaler = store.scaler(described["targets"], self.n_outputs_)
        self.target_mean_, self.target_scale_ = self._target_scaler

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
