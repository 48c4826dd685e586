"""ONNX: files read into plain values, and any graph of known operators run in NumPy."""
