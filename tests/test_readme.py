"""The README's program runs as printed and says what is printed under it."""

import contextlib
import io
import json
import re
import types
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import gatewright as gw
from gatewright.forecasting import classic, job

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")


def block(language: str, number: int = 0) -> str:
    """The README's block of a language with this number."""
    return str(re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[number])


def numbers(text: str) -> list[float]:
    """The decimal numbers in a text."""
    return [float(number) for number in NUMBER.findall(text)]


def test_the_table_is_what_the_demo_measures() -> None:
    (text,) = re.findall(r"```\n( *ARV 1921.*?)```", README, re.DOTALL)
    head, _, *lines, _, _ = text.splitlines()
    assert head.split() == ["ARV", "1921–55", "ARV", "1956–79", "ARV", "1980–2008"]
    rows = {line[:25].strip(): numbers(line[25:]) for line in lines}
    todo = classic.job(classic.settings())
    scores = {name: [float(score.arv[0]) for score in each] for name, each in job.run(todo).scores.items()}
    ours = todo.settings.name
    assert rows.pop(ours) == pytest.approx(scores.pop(ours), abs=0.01)
    spread = [rows.pop(name) for name in ("mean of 5 other seeds", "standard deviation")]
    assert [len(row) for row in spread] == [3, 3]
    assert list(rows) == list(scores)
    for name, wanted in scores.items():
        assert rows[name] == pytest.approx(wanted, abs=0.0006), name  # as printed, to three decimals


def test_the_six_lines_say_what_the_readme_says() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(block("python"), "README.md", "exec"), {})
    got, wanted = said.getvalue().splitlines(), block("text").splitlines()
    assert len(got) == len(wanted)
    assert NUMBER.sub("#", got[0]) == NUMBER.sub("#", wanted[0])
    (loss, *outputs), (wanted_loss, *wanted_outputs) = numbers(got[0]), numbers(wanted[0])
    assert loss == pytest.approx(wanted_loss, rel=0.5)
    assert outputs == pytest.approx(wanted_outputs, abs=0.02)
    # Where the check is worst is a matter of rounding, another on every machine; what is checked, and the verdict, are not.
    assert [line.split()[:3] for line in got[1:-1]] == [line.split()[:3] for line in wanted[1:-1]]
    assert NUMBER.sub("#", got[-1]) == NUMBER.sub("#", wanted[-1])
    assert got[-1].startswith("all ")


def test_the_lines_about_estimators_run(capsys: pytest.CaptureFixture[str]) -> None:
    """With epochs so few that it takes no time."""
    random = np.random.default_rng(0)
    X = [random.standard_normal((length, 2)) for length in (5, 9, 7, 6)]
    lines = block("python", 1).replace("Classifier()", "Classifier(epochs=2)").replace("Regressor()", "Regressor(epochs=2)")
    lines = lines.replace("horizon=12", "horizon=12, epochs=1, ensemble=1")
    y = 10 + np.sin(np.arange(120) / 2) + 0.1 * random.standard_normal(120)
    names = {"gw": gw, "X": X, "labels": ["a", "b", "a", "b"], "numbers": [1.0, 2.0, 3.0, 4.0], "y": y}
    exec(compile(lines, "README.md", "exec"), names)
    assert names["classifier"].predict(X).shape == names["regressor"].predict(X).shape == (4,)
    assert (names["lower"] <= names["mean"]).all()
    assert "autoregression" in capsys.readouterr().out


def test_the_lines_about_models_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With files of their names; PyTorch is stood in for."""
    monkeypatch.chdir(tmp_path)
    whole = gw.Model(gw.Sequential(gw.LSTM(2, 3), gw.Dense(3, 1)), seed=0)
    whole.to_keras("model.keras")
    whole.to_onnx("net.onnx")
    whole.to_onnx("any.onnx", state=True)
    save_file(whole.to_pytorch(["lstm", "fc"]), "net.safetensors")
    torch, module = types.SimpleNamespace(from_numpy=np.asarray), types.SimpleNamespace(load_state_dict=len)
    lines = block("python", 2).replace("net.pt", "net.safetensors")
    names = {"gw": gw, "torch": torch, "torch_module": module}
    exec(compile(lines, "README.md", "exec"), names)
    assert set(names["graph"].inputs) == {"x", "0.h", "0.c"}
    x = np.ones((2, 5, 2), np.float32)
    for model in (gw.from_keras("out.keras"), gw.from_onnx("out.onnx"), names["model"]):
        np.testing.assert_allclose(model.predict(x), whole.predict(x), atol=1e-6)


def test_the_files_that_the_readme_points_at_are_there() -> None:
    folder = Path(__file__).resolve().parent.parent
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (folder / link).exists()] == []


def test_what_the_readme_says_of_the_tasks_is_what_they_measured() -> None:
    """The numbers of the paragraph about `make tasks`, from the results that it is made of."""
    folder = Path(__file__).resolve().parent.parent / "benchmarks" / "tasks" / "results"
    rows = {path.stem: json.loads(path.read_text(encoding="utf-8"))["rows"] for path in folder.glob("*.json")}
    said = " ".join(README.partition("`make tasks` measures")[2].partition("## ")[0].split())
    vowels = {row[0]: float(row[2].split()[0]) for row in rows["japanese_vowels"]}
    assert f"{vowels['gw.SequenceClassifier()']:.3f} of the utterances" in said
    assert f"summaries: {vowels['logistic regression on summaries']:.3f}" in said
    bits, packed = (numbers(rows["king_james"][k][2])[0] for k in (0, 1))
    assert f"{bits:.2f} bits a character (PPMd: {packed:.2f})" in said
    (adding,) = [row for row in rows["hochreiter_1997"] if row[0] == "adding-1000"]
    assert f"{round(int(adding[2].split()[0].replace(',', '')), -2):,} sequences" in said
    assert f"took the first one {adding[3]}" in said
    tasks: dict[str, dict[str, float]] = {}
    for name, method, error, *_ in rows["forecasts"]:
        tasks.setdefault(name, {})[method] = float(error.split()[0])
    ahead = {
        rival: {name for name, each in tasks.items() if each["gw.Forecaster"] < each[rival]}
        for rival in tasks["airline, 12 months"]
    }
    assert len(tasks) == len(ahead["seasonal naive"]) == 6
    assert len(ahead["autoregression"]) == 4
    for rival in ("ETS (statsmodels)", "ARIMA (statsmodels)"):
        assert tasks.keys() - ahead[rival] == {"electricity, 7 days"}
    held = [float(row[4].rstrip("%")) for row in rows["forecasts"] if row[1] == "gw.Forecaster"]
    assert sum(not 86 <= share <= 94 for share in held) == 3
