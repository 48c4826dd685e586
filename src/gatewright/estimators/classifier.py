"""SequenceClassifier: sequences in, labels out."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from gatewright.arrays import Array
from gatewright.errors import DataError, OptionError
from gatewright.estimators import store
from gatewright.estimators.base import SequenceEstimator, Task


class SequenceClassifier(ClassifierMixin, SequenceEstimator):  # type: ignore[misc]
    """Classifies sequences with a recurrent network, as a scikit-learn estimator; needs scikit-learn (`gatewright[sklearn]`).

    X is (n, time, features); (n, time), univariate; or a list of (T_i, features) or (T_i,) of unequal lengths. y is (n,) labels
    of any kind. Only a table (n, time) fixes the number of steps of what is predicted later.

    The network. cell: "gru", "lstm" or "rnn". hidden_size: units a layer and direction. num_layers: layers on top of each
    other. bidirectional: read backwards too. pooling: what of the steps' outputs the decision sees: "last", "mean" or "max".
    dropout: the rate in training between layers and before the decision.

    The training. epochs: times that all sequences are seen, at most. batch_size: sequences an update; "auto": a thirty-second
    of them all, from 8 to 64. learning_rate: of the optimizer, "adam", "adamw", "rmsprop" or "sgd". schedule: "cosine" lets the
    learning rate fall to zero over the epochs, "constant" does not. clip_norm: the largest norm of a gradient; None: no bound.
    class_weight: {label: weight}, 1 for a label that is not named, or "balanced": all classes weigh the same.
    early_stopping: True sets validation_fraction of the sequences aside and stops when its loss has not improved for `patience`
    epochs (scikit-learn's n_iter_no_change); the weights of the best epoch stay. "auto": from 1000 sequences on.
    warm_start: fit goes on with the network that is there. random_state: of the initial weights, the order of the sequences,
    dropout and the validation share.

    The rest. standardize: each feature less its mean over its standard deviation, over the live steps that are trained on.
    layout: "ntc", or "nct" for X as (n, features, time), as aeon and sktime have it, and lists of (features, T_i). dtype:
    "float32" or "float64". kernel, threads: as in gw.Model. verbose: show progress.

    Fitted: classes_ (C,); n_features_in_ (of a table the number of steps); feature_names_in_, where X was a frame or a list of
    frames; n_iter_, the epochs trained, over warm starts and partial fits; loss_curve_, the training loss of each, and
    validation_scores_, the accuracy on what was set aside, or None; mean_ and scale_ (features,), what the features are
    standardised with; model_, the gw.Model, whose input is standardised.
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
        epochs: int = 100,
        batch_size: int | str = "auto",
        learning_rate: float = 0.01,
        schedule: str = "cosine",
        optimizer: str = "adam",
        clip_norm: float | None = 1.0,
        class_weight: Any = None,
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
        self.pooling, self.dropout, self.epochs, self.batch_size = pooling, dropout, epochs, batch_size
        self.learning_rate, self.schedule, self.optimizer, self.clip_norm = learning_rate, schedule, optimizer, clip_norm
        self.class_weight, self.early_stopping, self.validation_fraction = class_weight, early_stopping, validation_fraction
        self.patience, self.warm_start, self.random_state, self.standardize = patience, warm_start, random_state, standardize
        self.layout, self.dtype, self.kernel, self.threads, self.verbose = layout, dtype, kernel, threads, verbose

    _kind = "sequence classifier"

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Goes once through the sequences X, as `fit` takes them, and their labels y, at the full learning rate.

        classes: all labels there are, wanted in the first call, unless `fit` was called before. The first call's sequences
        decide on the standardisation.
        """
        if self.class_weight == "balanced":
            raise OptionError("class_weight='balanced' needs all data at once: give partial_fit a dict {label: weight}")
        if not hasattr(self, "model_"):
            if classes is None:
                raise DataError("classes must be passed on the first call to partial_fit: all labels there are")
            self.classes_ = np.unique(column_or_1d(classes))
            _check_two(self.classes_)
        elif classes is not None and not np.array_equal(np.unique(column_or_1d(classes)), self.classes_):
            raise DataError(f"classes: got {classes!r}, other than in the first call to partial_fit: {self.classes_}")
        return self._partial_fit(X, y, sample_weight, True)

    def predict(self, X: Any) -> Array:
        """(n,) the most probable label of each sequence of X, as `fit` takes it."""
        told = self._told(self._outputs(X))
        labels: Array = self.classes_[told]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """(n, C) the probability of each class, in the order of classes_."""
        return self._outputs(X)

    def predict_log_proba(self, X: Any) -> Array:
        """(n, C) the logarithm of the probability of each class."""
        with np.errstate(divide="ignore"):  # a probability too small for its dtype is zero
            logarithms: Array = np.log(self._outputs(X))
        return logarithms

    def _targets(self, y: Any, known: bool) -> Array:
        labels = column_or_1d(y, warn=True)
        check_array(labels, dtype=None, ensure_2d=False, input_name="y", estimator=self)
        check_classification_targets(labels)
        if not known:
            self.classes_ = np.unique(labels)
        number: Array = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        unknown = labels[self.classes_[number] != labels]
        if len(unknown):
            raise DataError(f"y: got the class {unknown[0]!r}; wanted one of {', '.join(map(repr, self.classes_.tolist()))}")
        return number

    def _weights(self, y: Array, weight: Array, known: bool) -> Array:
        if not known and weight.any():
            _check_two(self.classes_[np.unique(y[weight > 0])])
        return weight * self._class_weights(y, weight)[y]

    def _class_weights(self, y: Array, weight: Array) -> Array:
        """(C,) a factor a class."""
        given, classes = self.class_weight, self.classes_.tolist()
        if given is None:
            return np.ones(len(classes))
        if given == "balanced":
            totals = np.bincount(y, weight, minlength=len(classes))
            there = totals > 0
            factors: Array = np.divide(weight.sum() / there.sum(), totals, out=np.zeros(len(classes)), where=there)
            return factors
        if not isinstance(given, Mapping):
            raise OptionError(f"class_weight: got {given!r}, wanted None, 'balanced' or a dict {{label: weight}}")
        for label in given:
            if label not in classes:
                raise OptionError(f"class_weight: got the class {label!r}; wanted those of y: {', '.join(map(repr, classes))}")
        factors = np.array([given.get(label, 1.0) for label in classes], float)
        if not (np.isfinite(factors) & (factors >= 0)).all():
            raise OptionError(f"class_weight: got {given!r}, wanted finite weights from 0 up")
        return factors

    def _learned(self, y: Array) -> Array:
        return y

    def _told(self, outputs: Array) -> Array:
        told: Array = outputs.argmax(axis=1)
        return told

    def _quality(self, y: Array, told: Array, weight: Array) -> float:
        return float(accuracy_score(y, told, sample_weight=weight))

    def _prepare(self, train: Task) -> None:
        return

    def _ends(self) -> tuple[int, str | None, str]:
        return len(self.classes_), "softmax", "cross_entropy"

    def _told_apart(self) -> dict[str, Any]:
        return store.labels_as_json(self.classes_)

    def _take(self, described: dict[str, Any]) -> None:
        self.classes_ = store.labels_from_json(described)


def _check_two(classes: Array) -> None:
    """Raises DataError where there is but one class to learn."""
    if len(classes) < 2:
        raise DataError(f"y: got one class with weight, {classes.tolist()[0]!r}; wanted at least two classes to tell apart")
