# Everything a fresh clone needs: Python 3.11 or newer and make.
PYTHON ?= python3
DEMO_VENV ?= .venv
TEST_VENV ?= .venv-test

.PHONY: demo test test-slow test-page fuzz lint clean

demo: $(DEMO_VENV)/installed
	$(DEMO_VENV)/bin/allfocus deblur examples/photos -o demo --compare --overwrite
	@echo
	@echo "Results and before/after pictures are in $(CURDIR)/demo"

test: lint
	$(TEST_VENV)/bin/pytest
	@echo "Left for 'make test-slow': tests marked slow, which take minutes each (the number 'deselected' above)."

test-slow: $(TEST_VENV)/installed
	$(TEST_VENV)/bin/pytest -m slow

fuzz: $(TEST_VENV)/installed
	$(TEST_VENV)/bin/python tests/photo/fuzz.py --seconds 3600

test-page: $(TEST_VENV)/installed
	$(TEST_VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,page]'
	$(TEST_VENV)/bin/pytest -m browser

lint: $(TEST_VENV)/installed
	$(TEST_VENV)/bin/ruff check .
	$(TEST_VENV)/bin/ruff format --check .
	$(TEST_VENV)/bin/pyright --pythonpath $(TEST_VENV)/bin/python

$(DEMO_VENV)/installed: pyproject.toml constraints.txt hatch_build.py src/allfocus/compiled.c
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(TEST_VENV)/installed: pyproject.toml constraints.txt hatch_build.py src/allfocus/compiled.c
	$(PYTHON) -m venv $(TEST_VENV)
	$(TEST_VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(DEMO_VENV) $(TEST_VENV) demo build dist .pytest_cache .ruff_cache
