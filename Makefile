# Everything runs in a virtual environment of its own; needs only Python >= 3.11, make and git.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install demo test test-other-cpu versions lint docs clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/installed-scholars

install: $(VENV)/installed  ## everything, with the development tools

# What Scholars itself needs, without the development tools.
$(VENV)/installed-scholars: pyproject.toml
	@echo "Installing Scholars and what it needs into $(VENV), once. PyTorch is most of it: on Linux up to 3 GB, with CUDA."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable .
	touch $@

demo: $(VENV)/installed-scholars  ## the main job on small data: handwritten digits, then printed ones
	$(BIN)/scholars run quickstart --out runs/quickstart --resume

# A process a core, each computing in one thread: half the time of one process that computes in all of them.
test: install  ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

# Another processor's kernels: rounding and speed differ, what is learned must not. On one with AVX-512 those of AVX2 and
# fp32, which most processors have; elsewhere those of the oldest.
OTHER_CPU := $(shell grep -qs avx512 /proc/cpuinfo \
	&& echo ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 \
	|| echo ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default)

test-other-cpu: install  ## the numerical tests, computed as on another processor
	$(OTHER_CPU) SCHOLARS_TEST_PRECISION=32-true OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto \
		tests/evaluation tests/generators tests/learning tests/solvers tests/training

versions:  ## the quick part of it, with every Python and torch that are stated and can be had; an hour, 7 GB for a while
	$(PYTHON) tests/versions.py

lint: install  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install  ## the documentation as a site, in build/docs; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

clean:
	rm -rf build $(VENV)
