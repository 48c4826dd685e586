"""Weights as the tiles read them, and memory that begins at a cache line."""

from typing import Any

import numpy as np

from gatewright.arrays import Array
from gatewright.kernels.call import address
from gatewright.kernels.formulas import Cell

LINE = 64  # bytes: a vector that straddles two lines costs twice


def aligned(count: int) -> tuple[Array, int]:
    """`count` float32, not set, that begin at a cache line, and their address."""
    raw = np.empty(count + LINE // 4, np.float32)
    begin = address(raw)
    skip = -begin % LINE // 4
    return raw[skip : skip + count], begin + 4 * skip


def panels(blocks: list[Array], lanes: int) -> Array:
    """Matrices (K, N) as (N / lanes, K, len(blocks), lanes), zero beyond N: what a tile reads from the first to the last."""
    (K, N), vectors = blocks[0].shape, -(-blocks[0].shape[1] // lanes)
    packed = aligned(vectors * K * len(blocks) * lanes)[0].reshape(vectors, K, len(blocks), lanes)
    for column, block in enumerate(blocks):
        wide = np.zeros((K, vectors * lanes), np.float32)
        wide[:, :N] = block
        packed[:, :, column] = wide.reshape(K, vectors, lanes).swapaxes(0, 1)
    return packed


def scan_weights(cell: Cell, weights: Any, lanes: int) -> dict[str, Array]:
    """The packed weights of every stage, by their names in the argument block."""
    H = len(weights.U)
    packed = {}
    for k, stage in enumerate(cell.stages):
        packed[f"bias{k}"] = panels([_bias(cell, weights, letter)[None] for letter in stage.sums], lanes)
        for operand, into in stage.operands:
            matrix = weights.W if operand == "x" else weights.U
            starts = (H * cell.gate(letter) for letter in into)
            packed[f"{operand}{k}"] = panels([matrix[:, start : start + H] for start in starts], lanes)
    return packed


def _bias(cell: Cell, weights: Any, letter: str) -> Array:
    H = len(weights.U)
    bias = weights.bn if letter == "u" else weights.b
    if bias is None:
        return np.zeros(H, np.float32)
    return np.asarray(bias if letter == "u" else bias[H * cell.gate(letter) :][:H])
