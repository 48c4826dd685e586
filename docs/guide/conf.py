"""How sphinx builds the guide, in each of its languages; scripts/guide.py says which, and `make guide` calls it."""

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "gatewright"
extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_parser", "docstrings", "mathml", "bigrams"]
nitpicky = True
smartquotes = False  # a docstring says "float32"
myst_enable_extensions = ["dollarmath"]

# Docstrings say of what shape everything is; extensions/docstrings.py has them read as they are written.
autodoc_member_order = "bysource"
autodoc_typehints = "none"
add_module_names = False
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

html_theme = "gatewright"
html_theme_path = ["theme"]
html_copy_source = False
html_math_renderer = "mathml"
html_show_search_summary = False  # it fetches the pages, which browsers refuse where the guide is opened as files
html_use_index = False
html_domain_indices = False
TITLES = {"en": "gatewright: the guide", "zh_CN": "gatewright 指南"}


def _in_its_language(app: Sphinx, config: Config) -> None:
    config.html_title = TITLES[config.language]


def setup(app: Sphinx) -> None:
    app.connect("config-inited", _in_its_language, priority=100)
