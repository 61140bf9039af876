"""Law: the documentation is built from this repository alone: no network, no timestamps, warnings are errors."""

from __future__ import annotations

from countingroom import __version__

project = "Counting room"
author = "The counting room's authors"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Counting room"
html_show_copyright = False
html_show_sphinx = False
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]
