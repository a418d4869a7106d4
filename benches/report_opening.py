"""How long a browser takes to open the report of 2,000 runs: `python benches/report_opening.py [--runs N] [--page F]`.

Prints the page's size, the processor's seconds of all of Chromium's processes, beside those of an empty page, and the
seconds until the page is ready by its own clock. The processor's seconds do not depend on what else the machine does;
the page's clock does.
"""

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "google-chrome", "chromium-browser")
EMPTY = '<!doctype html><html data-ready="yes"><body>Nothing.</body></html>'
CLOCK = """<script>
addEventListener("load", async () => {
  const page = document.documentElement.dataset;
  while (!page.ready) await new Promise((done) => setTimeout(done, 5));
  page.at = (performance.now() / 1000).toFixed(3);
});
</script></body>"""


def opened(browser: str, page: Path) -> tuple[float, float, str]:
    """Seconds of the processor, seconds of the page's clock until it is ready, and the tag that says how it stands."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900", "--timeout=60000", "--dump-dom"]
    done = subprocess.run([browser, *flags, page.as_uri()], text=True, capture_output=True, timeout=300, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    head = re.search(r"<html[^>]*>", done.stdout)
    at = re.search(r'data-at="([\d.]+)"', head[0] if head else "")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, float(at[1]) if at else float("nan"), head[0] if head else ""


def main() -> None:
    """Make a page of so many runs, and open it three times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--page", type=Path, help="a report that is there already")
    given = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium is installed here; make browser installs one")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.page is None:
            from matchopt.bench import write_report

            sys.path.insert(0, str(ROOT / "tests"))
            from bench.made_up import records

            write_report(folder / "report.html", records(given.runs // 50, 10, 5))
        text = (given.page or folder / "report.html").read_text()
        print(f"{len(text.encode()) / 1e6:.2f} MB")
        for title, content in (("empty page", EMPTY), *[("report", text)] * 3):
            page = folder / "timed.html"
            page.write_text(CLOCK.join(content.rsplit("</body>", 1)))
            spent, at, head = opened(browser, page)
            print(f"{title}: {spent:.2f} processor s, ready at {at:.2f} s of the page's clock", head[:120])


if __name__ == "__main__":
    main()
