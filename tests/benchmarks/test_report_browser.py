"""The page in a browser: on a phone, in the dark, on paper."""

import re
import shutil
import subprocess

import pytest

from hybridrl.benchmarks.report.page import write_report
from hybridrl.benchmarks.results import ResultRow, write_results

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome")
LOOK = """<script>
const root = document.documentElement, at = (q) => getComputedStyle(document.querySelector(q));
const frame = document.querySelector(".scroll");
document.title = JSON.stringify({
  width: root.clientWidth, needs: root.scrollWidth, paper: at("body").backgroundColor,
  line: at("svg polyline").stroke, drawn: document.querySelector(".panel svg").clientHeight,
  scrolls: frame.scrollWidth > frame.clientWidth,
});
</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    rows = [
        ResultRow("parking", env, agent, seed, "quick-1s", metric, value, 20, 0, 1.0, "0", "a", "c")
        for env in ("normal-bay", "normal-parallel", "complex-bay", "lot")
        for agent in ("rs-any", "hybrid-astar", "hope-ppo-16-smooth")
        for seed in (0, 1, 2)
        for metric, value in (
            ("success", 0.9),
            ("success_within_20", 0.5),
            ("success_within_80", 0.9),
        )
    ]
    write_results(folder / "parking.csv", rows)
    return write_report(folder, folder / "page.html", episodes=False).file


def chromium(file, *words):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={file.parent / 'profile'}", *words, file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def measured(page, *words):
    """What a script sees that only a copy of the page for this test holds."""
    import json

    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    copy = page.with_name("measured.html")
    copy.write_text(text.replace("</body>", LOOK), "utf-8")
    title = re.search(r"<title>(.*?)</title>", chromium(copy, "--dump-dom", *words))[1]
    return json.loads(title.replace("&quot;", '"'))


def test_on_a_phone_tables_scroll_and_the_page_does_not(page):
    seen = measured(page, "--window-size=500,900")
    assert seen["needs"] <= seen["width"] <= 500
    assert seen["scrolls"] and seen["drawn"] > 100


def test_the_dark_page_has_other_colours(page):
    light = measured(page)
    dark = measured(page, "--blink-settings=preferredColorScheme=0")
    assert light["paper"] == "rgb(255, 255, 255)"
    assert dark["paper"] != light["paper"] and dark["line"] != light["line"]


def test_it_can_be_printed(page):
    out = page.with_name("page.pdf")
    chromium(page, f"--print-to-pdf={out}")
    assert out.read_bytes().startswith(b"%PDF") and out.stat().st_size > 20_000
