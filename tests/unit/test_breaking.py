"""Protos that callers of the last release could not understand are refused, and what was released is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
PROTO = """syntax = "proto3";
package visavis.tea.v1;
service TeaService { rpc Brew(BrewRequest) returns (BrewResponse); }
message BrewRequest {
  string leaf = 1;
  int32 cups = 2;
}
message BrewResponse {}
"""


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def write(project: Path, proto: str) -> None:
    (project / "protos" / "tea.proto").write_text(proto)
    git(project, "add", ".")
    git(project, "commit", "--allow-empty", "-m", "Brew")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with the tool, nothing of it released."""
    project = tmp_path / "project"
    for folder in ("protos", "tools"):
        (project / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "breaking", project / "tools")
    shutil.copy(ROOT / "buf.yaml", project)
    git(project, "init")
    write(project, PROTO)
    return project


def check(project: Path) -> tuple[int, str]:
    done = subprocess.run([project / "tools" / "breaking", BUF], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_nothing_can_break_before_the_first_release(project: Path) -> None:
    git(project, "tag", "v1.0.0-rc1")
    git(project, "tag", "varia")
    write(project, PROTO.replace("leaf", "sort"))
    assert check(project) == (0, "protos: nothing has been released yet, so nothing can break\n")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("  int32 cups = 2;\n", "", 'field "2" with name "cups"'),
        ("  int32 cups = 2;\n", "  reserved 2;\n", "without reserving the name"),
        ("int32 cups", "string cups", "changed type"),
        ("string leaf", "string sort", 'name from "leaf" to "sort"'),
        ("rpc Brew(BrewRequest) returns (BrewResponse);", "", '"Brew"'),
        ("BrewResponse", "Tea", '"BrewResponse"'),
    ],
)
def test_what_breaks_callers_of_the_last_release_is_refused(project: Path, before: str, after: str, told: str) -> None:
    git(project, "tag", "v1.0.0")
    write(project, PROTO.replace(before, after))
    status, said = check(project)
    assert status == 1
    assert told in said and "v1.0.0" in said and "docs/protos.md" in said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  int32 cups = 2;\n", '  reserved 2;\n  reserved "cups";\n'),
        ("  int32 cups = 2;\n", "  int32 cups = 2 [deprecated = true];\n  double litres = 3;\n"),
        ("message BrewResponse {}", "message BrewResponse {}\nmessage Tea {}"),
    ],
)
def test_what_breaks_nobody_passes(project: Path, before: str, after: str) -> None:
    git(project, "tag", "v1.0.0")
    write(project, PROTO.replace(before, after))
    assert check(project) == (0, "protos: callers built for v1.0.0 are still understood\n")


def test_the_last_release_counts_and_no_candidate_or_other_branch(project: Path) -> None:
    git(project, "tag", "v1.9.0")
    write(project, PROTO.replace("cups = 2;", "cups = 2;\n  bool milk = 3;"))
    git(project, "tag", "v1.10.0")
    git(project, "tag", "v1.11.0-rc1")
    git(project, "checkout", "-b", "other")
    write(project, PROTO.replace("leaf", "sort"))
    git(project, "tag", "v2.0.0")
    git(project, "checkout", "-")
    write(project, PROTO)
    status, said = check(project)
    assert status == 1 and "milk" in said and "v1.10.0" in said


def test_a_shallow_clone_asks_where_it_came_from(project: Path, tmp_path: Path) -> None:
    write(project, PROTO)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--depth", "1", f"file://{project}", str(clone))
    assert check(clone) == (0, "protos: nothing has been released yet, so nothing can break\n")
    git(project, "tag", "v1.0.0", "HEAD~1")
    write(clone, PROTO.replace("string leaf", "string sort"))
    status, said = check(clone)
    assert status == 1 and '"sort"' in said and "v1.0.0" in said


def test_a_shallow_clone_that_cannot_ask_says_what_helps(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--depth", "1", f"file://{project}", str(clone))
    shutil.rmtree(project)
    status, said = check(clone)
    assert status == 1 and "git fetch --unshallow --tags" in said


def test_a_folder_without_history_says_so(project: Path) -> None:
    shutil.rmtree(project / ".git")
    status, said = check(project)
    assert status == 0 and "git clone" in said
