"""The Python in README and docs runs, and what they name exists."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hybridrl.benchmarks.pages import refreshed
from hybridrl.benchmarks.runner import report_from_csv
from hybridrl.benchmarks.suites import SUITES
from hybridrl.benchmarks.tables import render
from hybridrl.cli import app

FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages(root):
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def pytest_generate_tests(metafunc):
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    if "snippet" in metafunc.fixturenames:
        found = [
            pytest.param(code, id=f"{page.name}-{i}")
            for page in pages(root)
            for i, (language, code) in enumerate(FENCE.findall(page.read_text()))
            if language == "python"
        ]
        metafunc.parametrize("snippet", found)
    if "page_with_tables" in metafunc.fixturenames:
        found = [page for page in pages(root) if "<!-- table:" in page.read_text()]
        metafunc.parametrize("page_with_tables", found, ids=[page.name for page in found])


def test_every_python_snippet_runs(snippet, tmp_path, monkeypatch, request):
    if request.node.callspec.id.startswith("README"):  # as a new user does
        command = [sys.executable, "-c", snippet]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return
    monkeypatch.chdir(tmp_path)
    assert re.search(r"^(import|from) hybridrl", snippet, re.MULTILINE), "registers the ids"
    exec(compile(snippet, request.node.callspec.id, "exec"), {"__name__": "__main__"})


def test_every_command_in_the_pages_exists_with_its_options(root):
    import shlex

    from typer.main import get_command

    commands = get_command(app).commands
    for page in pages(root):
        shell = "\n".join(
            code for language, code in FENCE.findall(page.read_text()) if language == "sh"
        )
        for line in re.findall(r"^hybridrl (.*?)(?:#.*)?$", shell, re.MULTILINE):
            words = shlex.split(line)
            command = commands[words[0]]
            if hasattr(command, "commands"):
                command = command.commands[words[1]]
            known = {option for parameter in command.params for option in parameter.opts}
            used = {word.partition("=")[0] for word in words if word.startswith("-")}
            assert used <= known, f"{page.name}: {line}"


def test_tables_in_a_page_are_what_their_commands_print(page_with_tables, root, monkeypatch):
    monkeypatch.chdir(root)
    text, runner = page_with_tables.read_text(), CliRunner()
    assert refreshed(text, lambda words: runner.invoke(app, words).stdout) == text, (
        f"{page_with_tables.name}: run `make tables`"
    )


@pytest.mark.parametrize("suite", SUITES)
def test_committed_tables_are_rendered_from_their_csv(root, suite):
    csv, table = root / "results" / f"{suite}.csv", root / "results" / f"{suite}.md"
    assert csv.exists() == table.exists()
    if csv.exists():
        report = report_from_csv(suite, csv)
        assert table.read_text() == render(report.tables, report.rows, "markdown")


def test_blocks_are_filled_and_the_rest_stays():
    page = "a\n<!-- table: hybridrl list 'x y' -->\nold\n<!-- end of table -->\nb\n"
    filled = refreshed(page, lambda words: "|".join(words) + "\n")
    assert filled == page.replace("old", "list|x y")
    assert refreshed(filled, lambda words: "|".join(words)) == filled


def test_links_between_pages_lead_somewhere(root):
    for page in pages(root):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_is_short_and_opens_with_the_two_commands(root):
    lines = (root / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    opening = "\n".join(lines[:25])
    assert "make demo" in opening and "make test" in opening


def test_every_environment_family_has_its_page(root):
    from hybridrl.envs.registration import ENVS

    for row in ENVS:
        family = row.id.removeprefix("hybridrl/").partition("-")[0].lower()
        family = "storage" if family.startswith("hybridstorage") else family
        assert row.id in (root / "docs" / f"{family}.md").read_text()
