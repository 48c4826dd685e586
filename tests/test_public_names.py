"""The public interface, pinned: a name that goes, comes or is spelt anew has to be written down here (and in CHANGELOG.md)."""

import inspect
from pathlib import Path

import pytest

import gatewright as gw

PUBLIC = [
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
    "Forecaster",
    "FormatError",
    "GRU",
    "GatewrightError",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "History",
    "JSONLogger",
    "LSTM",
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
    "RNN",
    "ReduceOnPlateau",
    "RepeatVector",
    "Report",
    "Residual",
    "ResumeWarning",
    "SGD",
    "Schedule",
    "SequenceClassifier",
    "SequenceRegressor",
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

# What these must at least have, and take by these names.
MEMBERS = {
    "Model": (
        "evaluate explore fit freeze get_weights gradcheck gradients kernels layer parameters predict run save set_weights "
        "state_like stream summary to_keras to_pytorch to_rtneural unfreeze"
    ),
    "Stream": "reset run state step",
    "SequenceClassifier": "fit get_params load partial_fit predict predict_log_proba predict_proba save score set_params",
    "SequenceRegressor": "fit get_params load partial_fit predict save score set_params",
    "Forecaster": "backtest fit get_params load predict predict_interval save set_params",
    "OnnxGraph": "inputs outputs run",
    "TextModel": "bits load sample save score train",
    "Parameters": "edit flat trainable version",
    "LSTM": "backward forward init steps_out",
    "viz": "confusion_matrix gate_maps learning_curve",
    "losses": "binary_cross_entropy cross_entropy gaussian_nll huber mae mse quantile",
}
ARGUMENTS = {
    "Model": "dtype kernel layer seed threads",
    "Model.evaluate": "loss metrics x y",
    "Model.explore": "columns loss path text title vocabulary x y",
    "Model.fit": (
        "accumulate batch_size callbacks checkpoint class_weight clip_norm clip_value epochs lengths loss mask metrics "
        "optimizer resume sample_weight schedule shuffle starts stateful tbptt validation verbose x y"
    ),
    "Model.gradcheck": "loss x y",
    "Model.gradients": "loss x y",
    "Model.predict": "batch_size lengths mask starts x",
    "Model.run": "lengths mask starts state x",
    "Model.stream": "batch_size",
    "Stream.reset": "rows",
    "OnnxGraph": "compat kernel limit path threads",
    "OnnxGraph.run": "inputs",
    **dict.fromkeys(
        ("RNN", "LSTM", "GRU"),
        "activation bias bidirectional dropout go_backwards hidden_size init input_dropout input_size learn_initial_state "
        "num_layers recurrent_dropout return_sequences return_state_sequence stateful trainable",
    ),
    "TextModel.train": "settings text watch",
    "TextModel.sample": "length prime seed temperature top_k top_p",
    "TextModel.load": "kernel path threads",
    "TextSettings": "batch cell epochs held_out hidden layers learning_rate level min_count minutes seed window",
    **dict.fromkeys(
        ("SequenceClassifier", "SequenceRegressor"),
        "batch_size bidirectional cell clip_norm dropout dtype early_stopping epochs hidden_size kernel layout learning_rate "
        "num_layers optimizer patience pooling random_state schedule standardize threads validation_fraction verbose "
        "warm_start",
    ),
    "SequenceClassifier.fit": "X sample_weight y",
    "SequenceClassifier.partial_fit": "X classes sample_weight y",
    "SequenceClassifier.load": "kernel path threads",
    "SequenceClassifier.save": "path",
    "SequenceRegressor.partial_fit": "X sample_weight y",
    "Forecaster": (
        "cell ensemble epochs hidden_size horizon intervals learning_rate level num_layers random_state scale season verbose "
        "window"
    ),
    "Forecaster.fit": "X ids known y",
    "Forecaster.predict": "X future ids y",
    "Forecaster.predict_interval": "X future ids level y",
    "Forecaster.backtest": "X folds ids known refit step y",
    "from_keras": "dtype kernel network path threads",
    "from_onnx": "compat dtype kernel output path threads",
    "from_pytorch": "activation dtype kernel layers prefix source threads",
    "from_rtneural": "dtype kernel source threads",
    "Model.to_keras": "batch_size path",
    "Model.to_rtneural": "path",
    "LSTM.forward": "kernel params rng state steps training x",
    "LSTM.backward": "cache dstate dy grads params",
}


def test_the_names_are_these_and_sorted() -> None:
    assert sorted(PUBLIC) == PUBLIC
    assert sorted([*gw.__all__, *gw._WITH_EXTRA]) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    assert inspect.getdoc(getattr(gw, name))


@pytest.mark.parametrize("owner", MEMBERS)
def test_the_members_are_there(owner: str) -> None:
    assert set(MEMBERS[owner].split()) <= set(dir(getattr(gw, owner)))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_arguments_have_these_names(name: str) -> None:
    owner, _, method = name.partition(".")
    function = getattr(gw, owner)
    arguments = inspect.signature(getattr(function, method) if method else function).parameters
    assert set(ARGUMENTS[name].split()) <= set(arguments)
    # Nothing asked for may be ignored, so nothing may slip through a net either.
    assert all(argument.kind is not inspect.Parameter.VAR_KEYWORD for argument in arguments.values())


def test_every_refusal_is_one_of_ours() -> None:
    errors = [getattr(gw, name) for name in PUBLIC if name.endswith("Error")]
    assert len(errors) == 9
    assert all(issubclass(error, gw.GatewrightError) for error in errors)
    assert issubclass(gw.GatewrightError, ValueError)


def test_the_package_is_typed() -> None:
    assert (Path(gw.__file__).parent / "py.typed").exists()
