# make demo          the main job: forecasts the sunspots, draws the result and says where the pictures are
# make test          every check
# make test-kernels  the reference's tests on compiled code, at every width of the machine and from the library
# make test-neon     the compiled kernels on aarch64, under qemu; on Debian: apt-get install qemu-user binutils-aarch64-linux-gnu
# make test-browser  the gate explorer and the guide in Chromium without a window; on Debian: apt-get install chromium
# make guide         the guide in docs/_build/guide, English and Chinese
# make golden        records the frameworks' outputs again and compares (large: installs PyTorch and Keras)
# make bench         measures against the frameworks and writes the README's table (large: installs them; half an hour)
# make tasks         learns real tasks and the experiments of 1997 and writes benchmarks/tasks/README.md (large: installs PyTorch;
#                    a quarter of an hour); on Debian: apt-get install bible-kjv
# make clean         removes the environment, the guide that was built and the caches
#
# PYTHON is the Python to begin with (3.11 or newer), VENV the folder of the virtual environment.
# make itself can't handle spaces in file names, so no target here is a file: scripts/environment.py keeps a stamp of its own.

PYTHON ?= python3
VENV ?= .venv

.PHONY: demo test test-kernels test-neon test-browser guide golden bench tasks clean

demo:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" plot
	@"$(VENV)/bin/gatewright" demo

test:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" plot dev
	@sh scripts/check "$(VENV)/bin/python"

test-kernels:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" plot dev
	@sh scripts/check_kernels "$(VENV)/bin/python"

test-neon:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" plot dev
	@command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-ld >/dev/null || \
		{ echo "test-neon needs Debian's packages qemu-user and binutils-aarch64-linux-gnu" >&2; exit 2; }
	@"$(VENV)/bin/python" -m pytest tests/kernels/test_neon.py

test-browser:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" plot dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		{ echo "test-browser needs Debian's package chromium" >&2; exit 2; }
	@"$(VENV)/bin/python" -m pytest -m browser tests/viz tests/guide

guide:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" docs
	@"$(VENV)/bin/python" scripts/guide.py

golden:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" bench
	@"$(VENV)/bin/python" scripts/golden.py

bench:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" bench
	@"$(VENV)/bin/python" benchmarks/run.py

tasks:
	@"$(PYTHON)" scripts/environment.py "$(VENV)" plot tasks
	@"$(VENV)/bin/python" -m pip install --quiet --no-deps -r benchmarks/tasks/packages.txt
	@command -v bible >/dev/null || { echo "tasks needs Debian's package bible-kjv" >&2; exit 2; }
	@"$(VENV)/bin/python" benchmarks/tasks/run.py

clean:
	@"$(PYTHON)" scripts/environment.py --remove "$(VENV)"
	@rm -rf docs/_build .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
