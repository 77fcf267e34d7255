"""Settings of Sphinx for the API reference, which is made of the docstrings of the public names (`make docs`)."""

import tilesim
from tilesim.model.noun import Noun

project = "tilesim"
release = version = tilesim.__version__
extensions = ["sphinx.ext.autodoc", "numpydoc"]
default_role = "py:obj"
autodoc_default_options = {
    "members": True,
    "inherited-members": "str, Sequence, Exception",  # but for theirs
    "exclude-members": "replace, summary, text",  # experiment.rst has them once for all nouns
    "member-order": "bysource",
}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
numpydoc_show_class_members = False
html_theme = "alabaster"
html_theme_options = {"page_width": "1080px", "description": "X-ray diffraction images, tiled and distributed"}
html_show_copyright = False

# A noun among default values is the default one; its summary would fill the signature.
Noun.__repr__ = lambda noun: f"{type(noun).__name__}()"
