"""The operators one by one: as ONNX's schemas have them, and on the ONNX project's own node tests."""

import itertools
import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from refusals import refused

import gatewright as gw
from gatewright.errors import FormatError
from gatewright.interop.onnx import operators, reader
from gatewright.interop.onnx.calls import MANY, NEEDED

KINDS = {
    "FLOAT": "float",
    "INT": "int",
    "STRING": "string",
    "TENSOR": "tensor",
    "FLOATS": "floats",
    "INTS": "ints",
    "STRINGS": "strings",
}
# What schemas have and we refuse by name: strings and sparse tensors.
LEFT_OUT = {"Constant": {"sparse_value", "value_string", "value_strings"}}
LAST = min(onnx.defs.onnx_opset_version(), reader.OPSETS[1])


def default(attribute):
    """A schema's default as our tables have it."""
    if attribute.required:
        return NEEDED
    if not attribute.default_value.name:
        return None
    value = helper.get_attribute_value(attribute.default_value)
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("op", sorted(operators.FORMS))
def test_every_form_is_that_of_the_schema(op):
    """Attributes, their kinds and defaults, and the numbers of inputs and outputs, in every opset that is known."""
    seen = 0
    for opset in range(reader.OPSETS[0], LAST + 1):
        try:
            schema = onnx.defs.get_schema(op, opset, "")
        except onnx.defs.SchemaError:
            with refused(FormatError, "not supported before opset"):
                operators.form_of(op, opset)
            continue
        form = operators.form_of(op, opset)
        wanted = {
            name: (KINDS[attribute.type.name], default(attribute))
            for name, attribute in schema.attributes.items()
            if name not in LEFT_OUT.get(op, ())
        }
        if op in ("RNN", "GRU", "LSTM"):
            wanted["activations"] = ("strings", None)  # the schema has the forward direction's alone, or none
        assert dict(form.attributes) == wanted, opset
        assert form.inputs == (schema.min_input, min(schema.max_input, MANY)), opset
        assert form.outputs == (schema.min_output, min(schema.max_output, MANY)), opset
        seen += 1
    assert seen > 0


# ---------------------------------------------------------------------------------------------------- the node tests

# Those that we have the operators for, and still don't pass, by what is refused of them.
REFUSED = {
    "values of type": "strings, and numbers of 8 bits and less that are no NumPy type",
    "is not supported, wanted a tensor": "sequences and optional values",
    "opset 1 is not supported": "",
    "only inference is supported": "dropout and batch normalisation in training",
    "the output Indices": "of MaxPool",
}


def node_tests():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tests' own arithmetic
        from onnx.backend.test.case.node import collect_testcases

        return collect_testcases(None)


@pytest.fixture(scope="module")
def cases():
    return [case for case in node_tests() if {node.op_type for node in case.model.graph.node} <= operators.FORMS.keys()]


def replay(case, path, **options):
    """Runs a node test, every output compared in type, shape and values."""
    onnx.save(case.model, path)
    graph = gw.OnnxGraph(path, **options)
    for given, wanted in case.data_sets:
        given, wanted = (
            [numpy_helper.to_array(a) if isinstance(a, TensorProto) else np.asarray(a) for a in arrays]
            for arrays in (given, wanted)
        )
        got = graph.run(dict(zip(graph.inputs, given, strict=True)))
        assert list(got) == [output.name for output in case.model.graph.output]
        for array, want in zip(got.values(), wanted, strict=True):
            assert array.dtype == want.dtype
            assert array.shape == want.shape
            # An expanded function of halves rounds after every operator, and its test is of the whole.
            coarse = {"float16": 2e-3, "bfloat16": 2e-2}.get(want.dtype.name, 0) if "_expanded" in case.name else 0
            array, want = (a if a.dtype.kind in "biu" else a.astype(float) for a in (array, want))
            np.testing.assert_allclose(array, want, rtol=max(case.rtol, coarse), atol=case.atol)


def test_all_node_tests_of_the_recurrent_operators(cases, tmp_path):
    ours = [case for case in cases if {node.op_type for node in case.model.graph.node} & {"RNN", "GRU", "LSTM"}]
    assert sorted(case.name for case in ours) == [
        "test_gru_batchwise", "test_gru_bidirectional", "test_gru_defaults", "test_gru_reverse", "test_gru_seq_length",
        "test_gru_with_initial_bias",
        "test_lstm_batchwise", "test_lstm_bidirectional", "test_lstm_defaults", "test_lstm_reverse",
        "test_lstm_with_initial_bias", "test_lstm_with_peepholes",
        "test_rnn_seq_length", "test_simple_rnn_batchwise", "test_simple_rnn_bidirectional", "test_simple_rnn_defaults",
        "test_simple_rnn_reverse", "test_simple_rnn_with_initial_bias",
    ]  # fmt: skip
    for case, kernel in itertools.product(ours, ("auto", "numpy")):
        replay(case, tmp_path / "case.onnx", kernel=kernel)


def test_all_other_node_tests(cases, tmp_path):
    done, wrong = Counter(), []
    for case in cases:
        try:
            replay(case, tmp_path / "case.onnx")
        except FormatError as error:
            reasons = [reason for reason in REFUSED if reason in str(error)]
            done["refused"] += len(reasons)
            wrong += [] if reasons else [f"{case.name}: {error}"]
        except AssertionError as error:
            wrong.append(f"{case.name}: {error}")
        else:
            done["passed"] += 1
    assert not wrong, "\n".join(wrong)
    assert done["passed"] >= 900
    assert done["refused"] <= 180
