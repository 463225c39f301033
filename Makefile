# make book, make test: set everything up and build the site, or run every check.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SITE := _build/html/index.html
BOOK := _config.yml _toc.yml tools/book_site.py $(filter-out %.pyc,$(wildcard book/* book/*/* _static/* convnotes/*.py convnotes/*/*.*))

.PHONY: book test lint notebooks figures bench serve clean
.DELETE_ON_ERROR:

book: $(SITE)
	@echo "The book is at $(CURDIR)/$(SITE)"

test: $(SITE) lint
	$(BIN)/pytest -n 2 --nbval --nbval-current-env $(PYTEST_OPTIONS) convnotes tools tests book

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github/workflows
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

notebooks: $(READY)
	$(BIN)/python -m tools.notebooks

figures: $(READY)
	$(BIN)/python -m tools.figures

bench: $(READY)
	$(BIN)/python -m benchmarks.run

serve: $(SITE)
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html 8000

clean:
	rm -rf .venv _build

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("convnotes needs Python 3.11 or newer, not " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[book,test]"
	@touch $@

# Every page is built anew (--all): a page left from a build that failed would hide its warning.
$(SITE): $(READY) $(BOOK)
	@rm -f $@
	$(BIN)/jupyter-book build . --all -W -n --keep-going
