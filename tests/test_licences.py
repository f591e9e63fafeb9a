"""docs/licences.md lists what the lock installs; what the script reads of a package is what the package says."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

from scripts.licences import LOCK, NOT_HERE, PAGE, licence_in, licence_of, locked, page

ROWS = re.findall(r"^\| ([\w.-]+) \| (\S+) \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[1:]
LOCK_TEXT = LOCK.read_text(encoding="utf-8")


def test_the_page_names_every_package_of_the_lock() -> None:
    """Counted by another pattern than the script's; run `python -m scripts.licences` where this fails."""
    in_lock = re.findall(r"^([a-z0-9][\w.-]*)==([^\s;]+)", LOCK_TEXT, re.MULTILINE)
    assert len(in_lock) > 50
    assert [(name, version) for name, version, _ in ROWS] == in_lock


def test_every_package_has_a_licence() -> None:
    """Those that other platforms alone install say so."""
    conditions = {package.name: package.where for package in locked(LOCK_TEXT)}
    for name, _, licence in ROWS:
        assert licence and licence != "not stated", name
        assert licence != NOT_HERE or conditions[name], name


def test_licences_are_read_from_packages() -> None:
    assert (licence_of("gradio"), licence_of("pydantic"), licence_of("no-such-package")) == ("Apache-2.0", "MIT", None)
    assert version("gradio")


def test_a_wheel_of_another_platform_can_be_read(tmp_path: Path) -> None:
    wheel = tmp_path / "no_such_package-2.0-cp313-cp313-win32.whl"
    with ZipFile(wheel, "w") as archive:
        told = "Metadata-Version: 2.4\nName: No_Such.Package\nVersion: 2.0\nLicense-Expression: BSD-3-Clause\n"
        archive.writestr("no_such_package-2.0.dist-info/METADATA", told)
    assert licence_in(wheel) == ("no-such-package", "BSD-3-Clause")
    lock = "no-such-package==2.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    assert "| no-such-package | 2.0 | BSD-3-Clause |" in page(lock, page(lock, ""), [wheel])


def test_what_was_written_for_another_platform_stays() -> None:
    lock = "no-such-package==2.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    first = page(lock, "")
    assert f"| no-such-package | 2.0 | {NOT_HERE} | `sys_platform == 'win32'` |" in first
    assert "| no-such-package | 2.0 | MIT |" in page(lock, first.replace(NOT_HERE, "MIT"))
