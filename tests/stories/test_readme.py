"""The README's steps from own files to an own decision are run as they stand there, and answer what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.processes import choose_port

ROOT = Path(__file__).resolve().parents[2]
SECTION = "## From my shop in ten steps"
#: The port that the README's commands use; here a free one takes its place.
PORT = "3000"


@dataclass(frozen=True, slots=True)
class Step:
    """One command and the lines of output shown under it; `…` in a line stands for anything."""

    command: str
    shown: tuple[str, ...]


def steps(text: str) -> list[Step]:
    """The commands in the section's console blocks, each with the output shown.

    A command goes on over the lines up to the end of its here-document, or after a backslash.
    """
    section = text.split(SECTION, 1)[1].split("\n## ", 1)[0]
    found: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        command: list[str] = []
        shown: list[str] = []
        end: str | None = None
        for line in block.splitlines():
            if end is not None or (command and not shown and command[-1].endswith("\\")):
                command.append(line)
                end = None if line == end else end
            elif line.startswith("$ "):
                if command:
                    found.append(Step("\n".join(command), tuple(shown)))
                command, shown = [line[2:]], []
                here = re.search(r"<<\s*'?(\w+)'?", line)
                end = here[1] if here else None
            else:
                shown.append(line)
        if command:
            found.append(Step("\n".join(command), tuple(shown)))
    return found


def script(commands: list[str]) -> str:
    """A program that runs them in one shell, stops at the first that fails, and marks where each one's output ends."""
    lines = ["trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for number, command in enumerate(commands):
        lines += [command, f"status=$?; echo; echo '=== {number} '$status; [ $status = 0 ] || exit 1"]
    return "\n".join(lines)


def appears(shown: str, output: str) -> bool:
    """Whether the words of a shown line stand in one line of the output, in that order and next to each other."""
    pattern = r"\s+".join(".*".join(map(re.escape, word.split("…"))) for word in shown.split())
    return any(re.search(pattern, line) for line in output.splitlines())


def test_every_step_of_the_readme_works_and_shows_what_it_says(tmp_path: Path) -> None:
    told = steps((ROOT / "README.md").read_text())
    assert len(told) >= 10
    (tmp_path / "data").symlink_to(ROOT / "data")
    port = str(choose_port("127.0.0.1", 0, insist=False))
    commands = [step.command.replace(PORT, port) for step in told if not step.command.startswith("make install")]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COLUMNS": "110",
        "SEGUE_PORT": port,
    }
    done = subprocess.run(
        ["bash", "-c", script(commands)], cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
    )  # fmt: skip
    outputs = re.split(r"\n=== \d+ \d+\n", done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    shown = [step for step in told if not step.command.startswith("make install")]
    missing = [
        (step.command.splitlines()[0], line)
        for step, output in zip(shown, outputs, strict=False)
        for line in step.shown
        if line.strip(" …") and not appears(line.replace(PORT, port), output)
    ]
    assert missing == [], done.stdout[-6000:]


@pytest.mark.parametrize(
    ("shown", "output", "matches"),
    [
        ("40 customers … added", "  40 customers read, 40 added", True),
        ("40 customers", "41 customers", False),
        ("p = …, q = 2", "p = 0.1, q = 2", True),
    ],
)
def test_a_shown_line_matches_with_its_gaps_filled(shown: str, output: str, matches: bool) -> None:
    assert appears(shown, output) is matches
