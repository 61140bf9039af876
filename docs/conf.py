"""The documentation is built from this repository alone: no network, no timestamps, warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from cli_page import page  # noqa: E402  beside this file
from commands_page import page as commands_page  # noqa: E402  beside this file
from description_page import page as description_page  # noqa: E402  beside this file

from countingroom import __version__  # noqa: E402

(HERE / "reference" / "cli.md").write_text(page(), encoding="utf-8")
(HERE / "reference" / "commands.md").write_text(commands_page(), encoding="utf-8")
(HERE / "reference" / "description.md").write_text(description_page(), encoding="utf-8")

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
