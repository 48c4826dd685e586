"""The oracle: every layer and loss again, one number at a time, in Python's own float64 arithmetic.

Lists and `math` only: no NumPy and nothing of the library, so that no mistake can be made twice. Arrays are nested lists,
batch first: x[b][t][f]. The weights of a recurrent stack are `weights[layer][direction]`, a dict of nested lists with the
names W (F, kH), U (H, kH), b (kH), bn (H), h0 (H), c0 (H); gates stand in the order i f g o (LSTM) and z r n (GRU). An LSTM may
have peepholes P (3H), in the order i f o, and a projection V (H, R): then U is (R, 4H) and h0 (R); with `coupled` gates the
forget gate's block is left out of W, U, b and P.
States are [layer * directions + direction][b][j]. Slow on purpose; only for small sizes.
"""

import math

# ---------------------------------------------------------------------------------------------------- activations


def _sigmoid(x):
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _softplus(x):
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


ACTIVATIONS = {
    "linear": lambda x: x,
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: x if x > 0 else 0.0,
    "hard_sigmoid": lambda x, alpha=1 / 6, beta=0.5: min(max(alpha * x + beta, 0.0), 1.0),
    "softsign": lambda x: x / (1.0 + abs(x)),
    "softplus": _softplus,
    "elu": lambda x, alpha=1.0: x if x > 0 else alpha * math.expm1(x),
    "leaky_relu": lambda x, alpha=0.2: x if x > 0 else alpha * x,
    "thresholded_relu": lambda x, alpha=1.0: x if x > alpha else 0.0,
    "scaled_tanh": lambda x, alpha, beta: alpha * math.tanh(beta * x),
    "affine": lambda x, alpha, beta: alpha * x + beta,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "gelu": lambda x: 0.5 * x * math.erfc(-x / math.sqrt(2.0)),
    "silu": lambda x: x * _sigmoid(x),
}


def softmax(row):
    """The softmax of a list of numbers."""
    top = max(row)
    e = [math.exp(v - top) for v in row]
    return [v / sum(e) for v in e]


def log_softmax(row):
    """The logarithms of softmax, of a list of numbers."""
    top = max(row)
    total = math.log(sum(math.exp(v - top) for v in row))
    return [v - top - total for v in row]


def activation(spec):
    """The function, list to list, of a name, of None (linear), of (name, alpha[, beta]), or of {"of": …, "clip": …}."""
    if isinstance(spec, dict):
        inner, clip = activation(spec["of"]), spec["clip"]
        return lambda row: inner([min(max(v, -clip), clip) for v in row])
    if spec == "softmax":
        return softmax
    if spec == "log_softmax":
        return log_softmax
    name, *constants = spec if isinstance(spec, tuple) else (spec or "linear",)
    return lambda row: [ACTIVATIONS[name](v, *constants) for v in row]


# ---------------------------------------------------------------------------------------------------- cells, one step


def affine(x, matrix, column):
    """Column `column` of x @ matrix."""
    total = 0.0
    for value, line in zip(x, matrix, strict=True):
        total += value * line[column]
    return total


def _bias(w, column, name="b"):
    return w[name][column] if name in w else 0.0


def _units(w):
    """H: the rows of a projection, or else of U."""
    return len(w["V"] if "V" in w else w["U"])


def _gate(x, h, w, k):
    """Block k of x @ W + h @ U + b; h None leaves its part out."""
    size = _units(w)
    columns = range(k * size, (k + 1) * size)
    return [affine(x, w["W"], j) + (affine(h, w["U"], j) if h else 0.0) + _bias(w, j) for j in columns]


def rnn_step(x, h, w, act, **_):
    """The next (h,)."""
    return (act(_gate(x, h, w, 0)),)


def lstm_step(x, h, c, w, act, gate, out, coupled=False, **_):
    """The next (h, c)."""
    letters, size = "igo" if coupled else "ifgo", len(c)

    def before(letter, cell):
        row = _gate(x, h, w, letters.index(letter))
        if "P" not in w:
            return row
        first = letters.replace("g", "").index(letter) * size
        return [row[j] + w["P"][first + j] * cell[j] for j in range(size)]

    i = gate(before("i", c))
    f = [1.0 - v for v in i] if coupled else gate(before("f", c))
    g = act(_gate(x, h, w, letters.index("g")))
    c = [f[j] * c[j] + i[j] * g[j] for j in range(size)]
    o = gate(before("o", c))
    s = out(c)
    m = [o[j] * s[j] for j in range(size)]
    return ([affine(m, w["V"], r) for r in range(len(w["V"][0]))] if "V" in w else m), c


def gru_step(x, h, w, act, gate, reset_after=True, **_):
    """The next (h,)."""
    size = len(h)
    z, r = gate(_gate(x, h, w, 0)), gate(_gate(x, h, w, 1))
    if reset_after:
        inner = [r[j] * (affine(h, w["U"], 2 * size + j) + _bias(w, j, "bn")) for j in range(size)]
    else:
        inner = [affine([r[k] * h[k] for k in range(size)], w["U"], 2 * size + j) for j in range(size)]
    n = act([a + b for a, b in zip(_gate(x, None, w, 2), inner, strict=True)])
    return ([z[j] * h[j] + (1.0 - z[j]) * n[j] for j in range(size)],)


STEPS = {"rnn": (rnn_step, 1), "lstm": (lstm_step, 2), "gru": (gru_step, 1)}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


# ---------------------------------------------------------------------------------------------------- live steps


def live_steps(batch, time, lengths=None, mask=None):
    """live[b][t]: before the row's length, and the mask says so too."""
    return [
        [(lengths is None or t < lengths[b]) and (mask is None or bool(mask[b][t])) for t in range(time)] for b in range(batch)
    ]


def segments(live, starts=None):
    """The times of the live steps of one row, split at every start, dead ones too: one list a segment, perhaps empty."""
    parts = [[]]
    for t, alive in enumerate(live):
        if starts is not None and starts[t]:
            parts.append([])
        if alive:
            parts[-1].append(t)
    return parts


# ---------------------------------------------------------------------------------------------------- recurrent layers


def _fresh(w, count):
    sizes = {"h0": len(w["U"]), "c0": _units(w)}
    return [list(w[name]) if name in w else [0.0] * sizes[name] for name in ("h0", "c0")[:count]]


def _functions(options):
    """act, gate and out, list to list, of what the layers take."""
    first = options.get("activation", "tanh")
    specs = [first, options.get("recurrent_activation", "sigmoid"), options.get("cell_activation") or first]
    if options.get("clip") is not None:
        specs = [{"of": spec, "clip": options["clip"]} for spec in specs]
    return dict(zip(("act", "gate", "out"), map(activation, specs), strict=True))


def _way(options, d):
    """The options of a direction: a list means one for each."""
    return {name: value[d] if isinstance(value, list) else value for name, value in options.items()}


def scan(kind, x, parts, w, options, handed=None):
    """One direction of one layer over one row: the state by time (live steps only), and that after the last segment.

    `parts` are the times of each segment in the order of processing; `handed` the state for the first one, or None.
    """
    step, count = STEPS[kind]
    words = _functions(options) | {"reset_after": options.get("reset_after", True), "coupled": options.get("coupled", False)}
    states, state = {}, None
    for number, times in enumerate(parts):
        state = _fresh(w, count) if number or handed is None else [list(v) for v in handed]
        for t in times:
            state = step(x[t], *state, w=w, **words)
            states[t] = state
    return states, state


def recurrent(kind, x, weights, options, state=None, lengths=None, mask=None, starts=None):
    """(y, state) of a stack, the options as the layers take them.

    y[b][t], with return_sequences=False y[b], with return_state_sequence one y[b][t] for h and one for c.
    """
    batch, time, count = len(x), len(x[0]) if x else 0, STEPS[kind][1]
    live = live_steps(batch, time, lengths, mask)
    places = [(layer, d) for layer in range(len(weights)) for d in range(len(weights[0]))]
    finals, rows = [], []
    for b in range(batch):
        row_starts = None if starts is None else starts[b]
        parts = segments(live[b], row_starts)
        if options.get("go_backwards"):
            parts = [part[::-1] for part in parts]
        below, above, states, ends = x[b], {}, [], []
        for index, (layer, d) in enumerate(places):
            if d == 0 and layer > 0:
                below, above = above, {}
            order = [part[::-1] for part in parts] if d else parts
            handed = None if state is None else [plane[index][b] for plane in state]
            found, end = scan(kind, below, order, weights[layer][d], _way(options, d), handed)
            above = {t: above.get(t, []) + list(found[t][0]) for t in found}
            states.append(found)
            ends.append(end)
        finals.append(ends)
        if options.get("return_sequences") is False:
            rows.append([v for end in ends[-len(weights[0]) :] for v in end[0]])
        elif options.get("return_state_sequence"):
            joined = [{t: [v for s in states for v in s[t][k]] for t in states[0]} for k in range(count)]
            widths = [len(places) * size(weights[0][0]) for size in (lambda w: len(w["U"]), _units)]
            pairs = zip(joined, widths, strict=False)
            rows.append([_arrange(one, parts, time, row_starts, width, options) for one, width in pairs])
        else:
            rows.append(_arrange(above, parts, time, row_starts, _width(weights), options))
    y = [[row[k] for row in rows] for k in range(count)] if options.get("return_state_sequence") else rows
    return y, tuple([[list(finals[b][i][k]) for b in range(batch)] for i in range(len(places))] for k in range(count))


def _width(weights):
    return len(weights[0]) * len(weights[0][0]["U"])


def _arrange(row, parts, time, starts, width, options):
    """The outputs in their places: `row` by time, `parts` the times of each segment in the order of processing."""
    zero = [0.0] * width
    if options.get("masked_output") == "repeat":
        order = range(time)[::-1] if options.get("go_backwards") else range(time)
        out, last = [], zero
        for t in order:
            last = row.get(t, zero if starts is not None and starts[t] else last)
            out.append(list(last))
        return out
    if options.get("go_backwards"):
        times = [t for part in parts for t in part]
        return [row[t] for t in times] + [zero] * (time - len(times))
    return [row.get(t, zero) for t in range(time)]


def merge(parts, how):
    """Several outputs (nested lists of one depth) joined on their last axis: concat, sum, mul, ave."""
    if parts[0] and isinstance(parts[0][0], list):
        return [merge(list(rows), how) for rows in zip(*parts, strict=True)]
    if how == "concat":
        return [v for part in parts for v in part]
    columns = list(zip(*parts, strict=True))
    if how == "mul":
        return [math.prod(column) for column in columns]
    return [sum(column) / (len(parts) if how == "ave" else 1) for column in columns]


# ---------------------------------------------------------------------------------------------------- other layers


def at_live(function, x, live):
    """function(step) at the live steps of x[b][t], zeros of the same length elsewhere; x[b] alone if live is None."""
    if live is None:
        return [function(row) for row in x]
    out = [[function(step) if alive else None for step, alive in zip(*row, strict=True)] for row in zip(x, live, strict=True)]
    width = next((len(step) for row in out for step in row if step is not None), 0)
    return [[[0.0] * width if step is None else step for step in row] for row in out]


def dense(step, W, b=None, act=None):
    """One step of Dense: (F,) -> (O,)."""
    return activation(act)([affine(step, W, j) + (0.0 if b is None else b[j]) for j in range(len(W[0]))])


def embedding(x, E, live, mask_zero=False):
    """(y, live): the rows of E by index; with mask_zero the index 0 is dead."""
    live = [[alive and not (mask_zero and k == 0) for k, alive in zip(*row, strict=True)] for row in zip(x, live, strict=True)]
    y = [
        [list(E[k]) if alive else [0.0] * len(E[0]) for k, alive in zip(*row, strict=True)] for row in zip(x, live, strict=True)
    ]
    return y, live


def masking(x, value, live):
    """(y, live): a step whose features all equal `value` is dead."""
    live = [
        [alive and not all(v == value for v in step) for step, alive in zip(*row, strict=True)]
        for row in zip(x, live, strict=True)
    ]
    return at_live(list, x, live), live


def layer_norm(step, gain, shift, epsilon):
    """One step of LayerNorm: zero mean and unit variance over the features, then gain and shift."""
    mean = sum(step) / len(step)
    variance = sum((v - mean) ** 2 for v in step) / len(step)
    return [g * (v - mean) / math.sqrt(variance + epsilon) + s for v, g, s in zip(step, gain, shift, strict=True)]


def windows(n, size, stride=1, padding="valid", dilation=1):
    """The steps that each window over a row of n steps reads; what is not in 0 … n - 1 is padding."""
    reach = (size - 1) * dilation + 1
    if padding == "valid":
        starts = list(range(0, n - reach + 1, stride))
    elif padding == "causal":
        starts = list(range(1 - reach, n - reach + 1, stride))
    else:
        count = math.ceil(n / stride)
        starts = [t * stride - max((count - 1) * stride + reach - n, 0) // 2 for t in range(count)]
    return [[start + k * dilation for k in range(size)] for start in starts]


def conv1d(row, W, b=None, act=None, groups=1, **window):
    """One row (T, F) of Conv1D: (T', O); W is [k][f][o], f within the group of o."""
    size, outputs, out = len(W[0]), len(W[0][0]), []
    for steps in windows(len(row), len(W), **window):
        z = [0.0 if b is None else b[o] for o in range(outputs)]
        for o in range(outputs):
            first = o // (outputs // groups) * size
            for k, t in enumerate(steps):
                for f in range(size):
                    z[o] += W[k][f][o] * (row[t][first + f] if 0 <= t < len(row) else 0.0)
        out.append(activation(act)(z))
    return out


def pool(row, how, **window):
    """One row (T, F) of a pooling by `how`, a list of numbers to one: (T', F); padding is left out."""
    out = []
    for steps in windows(len(row), **window):
        inside = [row[t] for t in steps if 0 <= t < len(row)]
        out.append([how(list(column)) for column in zip(*inside, strict=True)])
    return out


def batch_norm(step, gain, shift, mean, var, epsilon):
    """One step of BatchNorm with statistics that were found before."""
    return [g * (v - m) / math.sqrt(s + epsilon) + a for v, g, a, m, s in zip(step, gain, shift, mean, var, strict=True)]


# ---------------------------------------------------------------------------------------------------- losses


def mse(y, target, live, weights=None):
    """The mean over live steps and outputs of the squared error; weights[b][t] weigh steps: sum(w l) / sum(w)."""
    total = count = 0.0
    for b, row in enumerate(live):
        for t, alive in enumerate(row):
            if alive:
                w = 1.0 if weights is None else weights[b][t]
                for got, wanted in zip(y[b][t], target[b][t], strict=True):
                    total += w * (got - wanted) ** 2
                    count += w
    return total / count


def cross_entropy(logits, target, live, weights=None):
    """The mean over live steps of -log softmax(logits)[target]."""
    total = count = 0.0
    for b, row in enumerate(live):
        for t, alive in enumerate(row):
            if alive:
                w = 1.0 if weights is None else weights[b][t]
                total -= w * math.log(softmax(logits[b][t])[target[b][t]])
                count += w
    return total / count
