"""Sphinx: pages in Markdown, reference from docstrings, formulas as MathML. Nothing is fetched from anywhere."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "t5-interp"
copyright = "the authors of t5-interp; Apache-2.0"
release = installed_version("t5-interp")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "sphinxcontrib.bibtex",
    "extensions.mathml",
    "extensions.docstrings",
    "extensions.generated",
    "extensions.citations",
]
bibtex_bibfiles = ["references.bib"]
bibtex_cite_id = "cite-{key}"
exclude_patterns = ["extensions"]

html_theme = "furo"
html_title = "t5-interp"
html_static_path = ["_static"]
html_css_files = ["notebooks.css"]
html_copy_source = False

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
# `make docs` runs the notebooks; the check of the documentation leaves that to the check of the notebooks.
nb_execution_mode = "off"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_render_image_options = {"alt": "output of the cell above"}

default_role = "code"
napoleon_use_ivar = True
napoleon_attr_annotations = False
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
# Axis names in annotations, such as " text", are no references to the attributes of that name.
suppress_warnings = ["ref.python"]
python_maximum_signature_line_length = 88
