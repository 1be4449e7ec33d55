"""Render the site into _docs/, and check it: every notebook has a page, no link or picture is missing, every public
symbol has its table, and in Chromium every video plays, every formula is drawn, nothing is asked of another server and
no page scrolls sideways on a phone.

What is rendered here is what is published. Quarto is not needed: smalldocs reads the same _quarto.yml. --quarto renders
with Quarto instead, and checks its pages alike."""

import argparse
import ast
import gc
import html
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote, urlsplit

from project import CONFIG, ENV, NBS, ROOMS, ROOT, exported_module, module_file, notebooks, room

PROC, DOCS = ROOT / "_proc", ROOT / CONFIG["doc_path"]
SITE = CONFIG["doc_host"] + CONFIG["doc_baseurl"] + "/"


def page_name(path):
    "The page of a notebook, without suffix: its path below nbs/ without the number."
    relative = path.relative_to(NBS)
    return relative.with_name(re.sub(r"^\d+[a-zA-Z0-9]*_", "", relative.stem.lower())).as_posix()


def sidebar(names):
    """sidebar.yml: the notebooks by their rooms, tutorials first; `names` maps each notebook to the file it is listed
    as."""
    lines = ["website:", "  sidebar:", "    contents:"]
    ordered = sorted(
        notebooks(),
        key=lambda path: (path.name != "index.ipynb", room(path) != "9_tutorials", room(path) is None, path),
    )
    for section, paths in groupby(
        ordered, lambda path: "index" if path.name == "index.ipynb" else ROOMS.get(room(path), "What all rooms share")
    ):
        if section != "index":
            lines += [f"      - section: {section}", "        contents:"]
        lines += [f"{'      ' if section == 'index' else '          '}- {names[path]}" for path in paths]
    return "\n".join(lines) + "\n"


def process():
    "nbdev's half: notebooks with their API pages filled in, into _proc/."
    os.chdir(ROOT)
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs

    refresh_quarto_yml()
    (NBS / "sidebar.yml").write_text(sidebar({path: path.relative_to(NBS).as_posix() for path in notebooks()}))
    shutil.rmtree(PROC, ignore_errors=True)
    gc.disable()  # A fifth of the time would go into looking through what stays until the end
    proc_nbs(force=True, n_workers=0, skip_folder_re=r"^[_.]|^sources$")  # Each worker would import torch
    gc.enable()


def render_quarto():
    subprocess.run(["quarto", "render", "--no-cache"], cwd=PROC, check=True)
    shutil.rmtree(DOCS, ignore_errors=True)
    shutil.move(PROC / DOCS.name, DOCS)


def with_names(source, renamed):
    "Links to notebooks lead to their pages."
    for old, new in renamed.items():
        source = re.sub(rf'(?<=[(/"]){re.escape(old)}(?=[)#" ])', new, source)
    return source


def render_smalldocs():
    "smalldocs names pages after files, where Quarto reads nbdev's output-file: so the files lose their numbers first."
    names = {path: f"{page_name(path)}.ipynb" for path in notebooks()}
    renamed = {path.name: names[path].rpartition("/")[2] for path in names}
    for path, name in names.items():
        notebook = json.loads((PROC / path.relative_to(NBS)).read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "raw":
                cell["source"] = re.sub(r"^output-file:.*\n", "", "".join(cell["source"]), flags=re.M)
            if cell["cell_type"] == "markdown":
                cell["source"] = with_names("".join(cell["source"]), renamed)
            for output in cell.get("outputs", []):
                if "text/markdown" in output.get("data", {}):
                    output["data"]["text/markdown"] = with_names("".join(output["data"]["text/markdown"]), renamed)
        (PROC / path.relative_to(NBS)).unlink()
        (PROC / name).write_text(json.dumps(notebook), encoding="utf-8")
    (PROC / "sidebar.yml").write_text(sidebar(names))
    shutil.rmtree(DOCS, ignore_errors=True)
    done = subprocess.run(
        [Path(sys.executable).with_name("smalldocs"), "render", "--quiet", PROC],
        env=ENV,
        capture_output=True,
        text=True,
    )
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode:
        sys.exit("smalldocs could not render the site")
    shutil.move(PROC / DOCS.name, DOCS)
    # smalldocs takes along the pictures of Markdown, and leaves videos and what stands in HTML
    for page in DOCS.rglob("*.html"):
        for link in Page(page.read_text(encoding="utf-8")).links:
            inside = os.path.normpath(page.parent.relative_to(DOCS) / unquote(link.partition("#")[0]))
            source, target = NBS / inside, DOCS / inside
            if re.match(r"results/[\w@./%+ -]+\.\w+$", inside) and source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    for page in DOCS.rglob("*.html"):  # Links to the published site lead into this copy of it
        up = "../" * (len(page.relative_to(DOCS).parts) - 1)
        page.write_text(
            re.sub(rf'(href|src)="{re.escape(SITE)}', rf'\1="{up or "./"}', page.read_text(encoding="utf-8")),
            encoding="utf-8",
        )


def finish():
    """What no renderer does: formulas as MathML, which needs no script from elsewhere, and videos that wait with their
    first frame."""
    import av
    from latex2mathml.converter import convert

    def formula(found):
        return convert(html.unescape(found[2]).strip()[2:-2], display="block" if found[1] == "display" else "inline")

    def film(found):
        source = page.parent / unquote(re.search(r'src="([^"#]+)', found[0])[1])
        poster = source.with_suffix(".poster.jpg")
        if source.is_file() and not poster.exists():
            with av.open(str(source)) as container:
                next(container.decode(video=0)).to_image().save(poster, quality=80)
        kept = "".join(re.findall(r'\s(?:src|width|height|style|class|id|aria-label)="[^"]*"', found[0]))
        return (
            (
                f'<video{kept} poster="{os.path.relpath(poster, page.parent)}" muted loop playsinline controls '
                'preload="metadata">'
            )
            if source.is_file()
            else found[0]
        )

    for page in DOCS.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r'<span class="math (inline|display)">(.*?)</span>', formula, text, flags=re.S)
        text = re.sub(r"<(?:link|script)[^>]*katex[^>]*>(?:</script>)?", "", text)
        page.write_text(re.sub(r"<video\b[^>]*>", film, text), encoding="utf-8")
    for sheet in DOCS.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        # the system's fonts do
        sheet.write_text(re.sub(r"@import\s*url\([^)]*//fonts[^)]*\);?", "", text), encoding="utf-8")


class Page(HTMLParser):
    "The links of a page, and the places in it that can be linked to."

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.title = [], {"", "top"}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.ids.add(value)
            if name in ("href", "src", "poster") and value:
                self.links.append(value)


def problems():
    "What is wrong with the rendered site, in sentences."
    pages = {page: Page(page.read_text(encoding="utf-8")) for page in DOCS.rglob("*.html")}
    for path in notebooks():
        page = DOCS / f"{page_name(path)}.html"
        if page not in pages:
            yield f"{path.relative_to(ROOT)} has no page"
        elif os.path.getsize(page) < 1000:
            yield f"the page of {path.relative_to(ROOT)} is empty"
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            target = link.removeprefix(SITE) if link.startswith(SITE) else link
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            base = DOCS if link.startswith(SITE) or parts.path.startswith("/") else path.parent
            linked = (base / unquote(parts.path.lstrip("/"))).resolve() if parts.path else path
            if linked.is_dir():
                linked /= "index.html"
            where = path.relative_to(DOCS)
            if not linked.exists():
                yield f"{where} links to {link}, which does not exist"
            elif linked in pages and parts.fragment and unquote(parts.fragment) not in pages[linked].ids:
                yield f"{where} links to {link}, but {linked.name} has no such place"


def undocumented():
    """Public functions and classes that are not in the API reference, or without a word on each argument. Commands have
    --help."""
    for path in notebooks():
        exported = exported_module(path)
        if not exported:
            continue
        page, tree = (
            (DOCS / f"{page_name(path)}.html").read_text(encoding="utf-8"),
            ast.parse(module_file(exported).read_text(encoding="utf-8")),
        )
        for node in tree.body:
            if (
                not isinstance(node, (ast.FunctionDef, ast.ClassDef))
                or node.name.startswith("_")
                or any(
                    "click" in ast.unparse(d) or "command" in ast.unparse(d) or "patch" in ast.unparse(d)
                    for d in node.decorator_list
                )
            ):
                continue
            # a heading may have the same name
            entries = re.findall(rf'id="{node.name.lower()}(?:-\d)?"(.*?)(?=<h[1-3]|$)', page, re.S)
            if not entries:
                yield f"{path.relative_to(ROOT)}: {node.name} is not in the API reference"
            elif isinstance(node, ast.FunctionDef) and max(entry.count('class="co"') for entry in entries) < len(
                node.args.args
            ) + len(node.args.kwonlyargs):
                yield f"{path.relative_to(ROOT)}: not every argument of {node.name} is explained in the API reference"


PLAYED = """film => new Promise(done => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 32;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  let moved = false, first = null;
  const end = said => { clearTimeout(late); film.pause(); done(said); };
  const late = setTimeout(() => end(moved ? 'its frames are blank' : 'it does not move on'), WAIT*1000);
  const seen = (_, frame) => {
    if (first === null) first = frame.mediaTime;
    moved = moved || frame.mediaTime !== first;
    pen.drawImage(film, 0, 0, 32, 32);
    const data = pen.getImageData(0, 0, 32, 32).data;
    const seen_colours = data.some((value, k) => k % 4 < 3 && value !== data[k % 4]);
    if (moved && seen_colours) end(film.duration > 0 ? '' : 'it has no length');
    else film.requestVideoFrameCallback(seen);
  };
  film.onerror = () => end(String(film.error && film.error.message));
  film.muted = film.loop = true;
  film.preload = 'auto';
  film.requestVideoFrameCallback(seen);
  film.load();
  film.play().catch(error => { if (error.name !== 'AbortError') end(String(error)); });
})"""
DRAWN = '[...document.querySelectorAll("math")].map(m => m.getBoundingClientRect().width > 0 || !m.checkVisibility())'
BROKEN = """[...document.images].filter(i => i.complete && !i.naturalWidth && i.getAttribute("src"))
  .map(i => i.getAttribute("src").slice(0, 80))"""


def in_browser():
    "What is wrong with the pages as Chromium shows them; the last item counts what was looked at."
    from browser import WAIT, launch, new_page, resized
    from playwright.sync_api import sync_playwright
    from study_page import served

    films = formulas = 0
    with served(DOCS) as address, sync_playwright() as playwright:
        chrome = launch(playwright)
        page = new_page(chrome, viewport=dict(width=1280, height=900))
        asked, wrong = [], []

        def only_here(route):
            if route.request.url.startswith((address, "data:", "blob:")):
                return route.continue_()
            asked.append(route.request.url)
            route.abort()

        page.route("**/*", only_here)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        for path in sorted(DOCS.rglob("*.html")):
            name = path.relative_to(DOCS).as_posix()
            page.set_viewport_size(dict(width=1280, height=900))  # The page before need not be painted so
            page.goto(address + name)
            resized(page, 1280, 900)
            for film in page.query_selector_all("video"):
                films += 1
                if told := film.evaluate(PLAYED.replace("WAIT", str(WAIT))):
                    yield f"{name}: {film.get_attribute('src')} does not play: {told}"
            drawn = page.evaluate(DRAWN)
            formulas += drawn.count(True)
            if False in drawn or page.query_selector("span.math"):
                yield f"{name}: a formula is not drawn"
            if broken := page.evaluate(BROKEN):
                yield f"{name}: pictures that are none: {', '.join(broken)}"
            resized(page, 390, 844)
            if (wide := page.evaluate("document.documentElement.scrollWidth")) > 390:
                yield f"{name}: {wide} pixels wide on a phone of 390"
            for url in dict.fromkeys(asked):
                yield f"{name}: asks another server for {url}"
            for error in wrong:
                yield f"{name}: {error}"
            asked.clear()
            wrong.clear()
        chrome.close()
    yield films, formulas


def check():
    "What is wrong with the site in _docs/, in sentences; and what was looked at."
    from browser import browser_path

    found = [*problems(), *undocumented()]
    seen = "not looked at in a browser: there is no Chromium"
    if browser_path():
        *more, (films, formulas) = in_browser()
        found += more
        seen = f"{films} videos play, {formulas} formulas"
    elif os.environ.get("CI"):
        found.append("there is no Chromium to look at the pages with")
    pages = len(list(DOCS.rglob("*.html")))
    return found, f"{len(notebooks())} notebooks, {pages} pages in {DOCS.name}/, no broken link; {seen}."


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quarto", action="store_true", help="render with Quarto")
    parser.add_argument("--rendered", action="store_true", help="check what is in _docs/, and render nothing")
    arguments = parser.parse_args()
    os.environ.update({name: ENV[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "HF_HUB_OFFLINE")})
    if not arguments.rendered:
        process()
        if arguments.quarto:
            render_quarto()
        else:
            render_smalldocs()
        finish()
    found, seen = check()
    print(*(found or [seen]), sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
