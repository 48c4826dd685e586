"""Estimators with scikit-learn's interface; they need scikit-learn (`gatewright[sklearn]`)."""

from gatewright.errors import missing_extra

try:
    import sklearn  # noqa: F401
except ImportError:
    raise missing_extra("scikit-learn", "sklearn", "gw.SequenceClassifier and its kin") from None

from gatewright.estimators.classifier import SequenceClassifier
from gatewright.estimators.forecaster import Forecaster
from gatewright.estimators.regressor import SequenceRegressor

__all__ = ["Forecaster", "SequenceClassifier", "SequenceRegressor"]
