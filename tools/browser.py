"""What the walks through pages share: a Chromium, and states of a page that are awaited, however long a busy machine
takes.

Nothing here sleeps or counts polls. A state that has not come after `WAIT` seconds is named in the error.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
HOSTILE = '<img src=x onerror="document.title=1">'
WAIT = 180  # Seconds that one state may take; only a failure takes as long
AWAIT = """() => new Promise((done, failed) => {
  const end = performance.now() + SECONDS*1000;
  let pause = 20;  // Longer and longer: to look costs the page as much as to be drawn
  const look = async () => {
    try {
      if (await (EXPRESSION)) done(true);
      else if (performance.now() > end) done(false);
      else setTimeout(look, pause = Math.min(250, 1.3*pause));
    } catch (error) { failed(error); }
  };
  look();
})"""
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


def browser_path():
    "Where a Chromium is, or None."
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def launch(playwright):
    "A Chromium without a window."
    return playwright.chromium.launch(executable_path=browser_path(), args=FLAGS, timeout=WAIT * 1000)


def new_page(chrome, **context):
    "A page in a context of its own, whose actions wait as long as `until` does."
    context = chrome.new_context(accept_downloads=True, **context)
    context.set_default_timeout(WAIT * 1000)
    context.set_default_navigation_timeout(WAIT * 1000)
    return context.new_page()


def until(page, expression, seconds=WAIT, where=None):
    "Wait within the page until an expression is true; the policy of our pages forbids what `wait_for_function` does."
    waiting = AWAIT.replace("SECONDS", str(seconds)).replace("EXPRESSION", expression)
    assert page.evaluate(waiting), f"not so after {seconds} s: {where or expression}"


def said(page, text, seconds=WAIT):
    "Wait until the page says a text."
    until(page, f"document.body.innerText.includes({json.dumps(text)})", seconds, f"the page says {text!r}")


def resized(page, width, height):
    "Give the page another size, and wait until it is laid out and painted in it."
    page.set_viewport_size(dict(width=width, height=height))
    until(page, f"innerWidth === {width} && innerHeight === {height} && {PAINTED}", where=f"{width} x {height} pixels")


def look(page, screen, findings):
    "What axe-core finds, and whether the page scrolls sideways."
    from axe_playwright_python.sync_playwright import Axe

    for rule in Axe().run(page).response["violations"]:
        findings.append((screen, rule["id"], rule["impact"], rule["nodes"][0]["html"][:160]))
    wide = page.evaluate("document.documentElement.scrollWidth") - page.viewport_size["width"]
    assert wide <= 0, f"{screen} scrolls sideways by {wide} px"


def none_serious(findings):
    "No finding of serious or critical impact; the others, in a line each."
    serious = [finding for finding in findings if finding[2] in ("serious", "critical")]
    assert not serious, serious
    return sorted({f"{screen}: {rule}" for screen, rule, *_ in findings})


def main(take, about):
    "Run `take` on a folder of its own; print what it found, and keep it with the pictures where --output is given."
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--output", help="folder for pictures and page.json")
    parser.add_argument("--short", action="store_true", help="leave out what take() says")
    arguments = parser.parse_args()
    output = arguments.output
    if browser_path() is None:
        sys.exit("a Chromium is needed: apt-get install chromium")
    if output:
        Path(output).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = take(Path(folder).resolve(), output and Path(output).resolve(), arguments.short)
    if output:
        (Path(output) / "page.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))
