"""Sphinx's settings: ``python -m sphinx -W --keep-going docs docs/_build/html`` builds the site, without network.

Pages are Markdown, as they read on a code host; those of the API are lists of names, filled from the docstrings by
``scripts/api_pages.py``. Formulas are typeset by a copy of MathJax that a package from PyPI brings.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "scripts")]  # this checkout's package, whatever else is installed

import tinygrad_jac  # noqa: E402

project = "tinygrad_jac"
author = "the tinygrad_jac developers"
copyright = f"{author}. MIT licence"
version = release = tinygrad_jac.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "api_pages"]
exclude_patterns = ["_build", "scripts"]
nitpicky = True  # a reference that leads nowhere is a warning, and CI turns warnings into errors

# -- Markdown
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# -- docstrings
autodoc_typehints = "none"  # nearly all arguments are whatever speaks NumPy; the docstrings say more
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_param = False  # types are words here, "array or Tensor"
napoleon_use_rtype = False
default_role = "py:obj"  # `name`: a link where there is such an object, code where there is none (api_pages.py)
add_module_names = False
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

# -- HTML
html_theme = "furo"
html_title = "tinygrad_jac"
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sphinx = False
html_css_files = ["site.css"]
_mathjax = importlib.util.find_spec("sphinx-mathjax-offline")
assert _mathjax is not None, "the extra `docs` brings MathJax: pip install '.[docs]'"
# One file, with the outlines of the letters in it: it works from a folder as from a server, and loads nothing else.
_script = Path(_mathjax.origin or "").parent / "static/mathjax/tex-svg-full.js"
html_static_path = ["_static", str(_script)]
mathjax_path = _script.name
