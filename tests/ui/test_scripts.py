"""The page's scripts without a browser: node runs what is pure, and numbers read the same on both sides.

Under CI node must be there; elsewhere its absence skips these tests with a sentence.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from playground.config import SWEEP_REPEATS
from playground.figures.format import number, ordinal, percent, plural, times
from playground.ui.assets import ASSETS, lean, page_head

SCRIPTS = Path(__file__).resolve().parents[1] / "js"


def node(*arguments: str, given: str = "") -> str:
    if not shutil.which("node"):
        assert not os.environ.get("CI"), "CI needs node."
        pytest.skip("No node here. Install Debian's: apt-get install nodejs")
    done = subprocess.run(["node", *arguments], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.test.cjs")), ids=lambda path: path.name.split(".")[0])
def test_pure_parts(path: Path) -> None:
    assert "# fail 0" in node("--test", "--test-reporter=tap", str(path))


def test_what_is_sent_says_what_was_written() -> None:
    """Comments and indents go, and nothing else: every other line stands there, and no text runs over a line's end."""
    for path in sorted((ASSETS / "js").glob("*.js")):
        code = path.read_text(encoding="utf-8")
        assert not any(line.replace('"```"', "").count("`") % 2 for line in code.splitlines()), (
            f"{path.name} has a text of several lines"
        )
        kept = [line.strip() for line in code.splitlines()]
        kept = [line for line in kept if line and not line.startswith(("//", "/**", "* ", "*/")) and line != "*"]
        assert lean(code).splitlines() == kept, path.name
    node("--check", "-", given=re.findall(r"<script>(.*)</script>", page_head(), re.DOTALL)[0])


def test_numbers_read_the_same_in_words_and_on_the_page() -> None:
    dice = random.Random(3)
    values = [dice.expovariate(1) * 10 ** dice.randrange(-4, 5) for _ in range(400)]
    values += [k / 8 for k in range(40)] + [0.0, 0.0995, 0.001, 1.325, 2.675, 0.995]
    program = f"""
        const RD = require({json.dumps(str(SCRIPTS / "page.cjs"))}).load("format");
        const values = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
        const told = values.map((v) => [RD.number(v, 2), RD.number(v), RD.times(v), RD.percent(v), RD.number(v, 0),
          RD.ordinal(Math.floor(v)), RD.plural(Math.floor(v), "node")]);
        console.log(JSON.stringify(told));
    """
    there = json.loads(node("-e", program, given=json.dumps(values)))
    for value, shown in zip(values, there, strict=True):
        whole = int(value)
        here = [number(value, 2), number(value), times(value), percent(value), number(value, 0), ordinal(whole)]
        assert shown == [*here, plural(whole, "node")], value


def test_numbers_without_bounds_read_the_same_too() -> None:
    """A trace may claim any rate."""
    values = [9.9e20, 1e21, 1.5e300, -1.5e300, 1.7976931348623157e308]
    program = f"""
        const RD = require({json.dumps(str(SCRIPTS / "page.cjs"))}).load("format");
        console.log(JSON.stringify({json.dumps(values)}.map((v) => RD.number(v))));
    """
    assert json.loads(node("-e", program, given="")) == [number(value) for value in values]


def test_the_page_counts_as_many_races_of_a_shape_as_are_run() -> None:
    """The cost of a sweep is told before the server is asked, so the script has the number too."""
    told = re.findall(r"const REPEATS = (\d+);", (ASSETS / "js" / "shapes.js").read_text(encoding="utf-8"))
    assert told == [str(SWEEP_REPEATS)]


@pytest.mark.parametrize(("environment", "ends"), [({}, 0), ({"CI": "true"}, 2)])
def test_without_npm_the_scripts_go_unchecked_with_a_sentence_but_not_in_ci(
    environment: dict[str, str], ends: int
) -> None:
    make = shutil.which("make")
    assert make, "make is how this project is run."
    done = subprocess.run(
        [make, "lint-page"],
        cwd=ASSETS.parent,
        env={"PATH": "/nowhere", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == ends, done.stderr
    assert "npm" in (done.stderr if ends else done.stdout) and "apt install npm" in done.stdout + done.stderr
