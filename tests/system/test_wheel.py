"""What is shipped is complete: pages, styles and browser libraries are in the wheel, tests are not."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_everything_the_pages_load(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=110,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    console = ROOT / "src" / "countingroom" / "console"
    wanted = [path for part in ("static", "templates") for path in (console / part).rglob("*") if path.is_file()]
    assert len(wanted) > 10
    assert {str(path.relative_to(ROOT / "src")) for path in wanted} <= names
    assert "countingroom/console/static/vendor/uplot.js" in names
    assert "countingroom/console/static/vendor/inter.woff2" in names
    demo = [path for path in (ROOT / "examples" / "demo").rglob("*") if path.suffix in (".yaml", ".csv")]
    assert len(demo) > 4
    assert {f"countingroom/cli/examples/demo/{path.relative_to(ROOT / 'examples' / 'demo')}" for path in demo} <= names
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]
    assert "Requires-Python: >=3.11\n" in metadata
    for version in ("3.11", "3.12", "3.13"):
        assert f"Classifier: Programming Language :: Python :: {version}\n" in metadata
