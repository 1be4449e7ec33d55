"""Render the site into _docs/, and check that every notebook has a page and that no link or picture is missing.

Quarto is not needed: smalldocs reads the same _quarto.yml. --quarto renders with Quarto instead, as it is published.
"""
import argparse, json, os, re, shutil, subprocess, sys
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from urllib.parse import unquote, urlsplit
from project import CONFIG, ENV, NBS, ROOT, notebooks, number

SECTIONS = ['Video and geometry', 'Models and adapters', 'Training and sampling', 'Measuring', 'Using it', 'More', 'More', 'More', 'More', 'Tutorials']
PROC, DOCS = ROOT/'_proc', ROOT/CONFIG['doc_path']
SITE = CONFIG['doc_host'] + CONFIG['doc_baseurl'] + '/'

def page_name(path):
    "The page of a notebook, without suffix: its path below nbs/ without the number."
    relative = path.relative_to(NBS)
    return relative.with_name(re.sub(r'^\d+[a-zA-Z0-9]*_', '', relative.stem.lower())).as_posix()

def sidebar(names):
    "sidebar.yml: the notebooks by the tens of their numbers; `names` maps each notebook to the file it is listed as."
    lines = ['website:', '  sidebar:', '    contents:']
    ordered = sorted(notebooks(), key=lambda path: (path.name != 'index.ipynb', path))
    for section, paths in groupby(ordered, lambda path: None if number(path) is None else SECTIONS[number(path) // 10]):
        if section: lines += [f'      - section: {section}', '        contents:']
        lines += [f'{"          " if section else "      "}- {names[path]}' for path in paths]
    return '\n'.join(lines) + '\n'

def process():
    "nbdev's half: notebooks with their API pages filled in, into _proc/."
    os.chdir(ROOT)
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    refresh_quarto_yml()
    (NBS/'sidebar.yml').write_text(sidebar({path: path.relative_to(NBS).as_posix() for path in notebooks()}))
    shutil.rmtree(PROC, ignore_errors=True)
    proc_nbs(force=True, n_workers=2, skip_folder_re=r'^[_.]|^sources$')

def render_quarto():
    subprocess.run(['quarto', 'render', '--no-cache'], cwd=PROC, check=True)
    shutil.rmtree(DOCS, ignore_errors=True)
    shutil.move(PROC/DOCS.name, DOCS)

def render_smalldocs():
    "smalldocs names pages after files, where Quarto reads nbdev's output-file: so the files lose their numbers first."
    names = {path: f'{page_name(path)}.ipynb' for path in notebooks()}
    renamed = {path.name: names[path].rpartition('/')[2] for path in names}
    for path, name in names.items():
        notebook = json.loads((PROC/path.relative_to(NBS)).read_text(encoding='utf-8'))
        for cell in notebook['cells']:
            if cell['cell_type'] == 'raw': cell['source'] = re.sub(r'^output-file:.*\n', '', ''.join(cell['source']), flags=re.M)
            if cell['cell_type'] == 'markdown':
                source = ''.join(cell['source'])
                for old, new in renamed.items(): source = re.sub(rf'(?<=[(/"]){re.escape(old)}(?=[)#" ])', new, source)
                cell['source'] = source
        (PROC/path.relative_to(NBS)).unlink()
        (PROC/name).write_text(json.dumps(notebook), encoding='utf-8')
    (PROC/'sidebar.yml').write_text(sidebar(names))
    shutil.rmtree(DOCS, ignore_errors=True)
    done = subprocess.run([Path(sys.executable).with_name('smalldocs'), 'render', '--quiet', PROC], env=ENV, capture_output=True, text=True)
    sys.stderr.write(done.stdout + done.stderr)
    if done.returncode: sys.exit('smalldocs could not render the site')
    shutil.move(PROC/DOCS.name, DOCS)
    for path in PROC.rglob('*.mp4'): # smalldocs takes pictures along, and leaves videos
        (DOCS/path.relative_to(PROC)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, DOCS/path.relative_to(PROC))
    for page in DOCS.rglob('*.html'): # Links to the published site lead into this copy of it
        up = '../' * (len(page.relative_to(DOCS).parts) - 1)
        page.write_text(re.sub(rf'(href|src)="{re.escape(SITE)}', rf'\1="{up or "./"}', page.read_text(encoding='utf-8')), encoding='utf-8')

class Page(HTMLParser):
    "The links of a page, and the places in it that can be linked to."
    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.title = [], {'', 'top'}, ''
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ('id', 'name') and value: self.ids.add(value)
            if name in ('href', 'src', 'poster') and value: self.links.append(value)

def problems():
    "What is wrong with the rendered site, in sentences."
    pages = {page: Page(page.read_text(encoding='utf-8')) for page in DOCS.rglob('*.html')}
    for path in notebooks():
        page = DOCS/f'{page_name(path)}.html'
        if page not in pages: yield f'{path.relative_to(ROOT)} has no page'
        elif os.path.getsize(page) < 1000: yield f'the page of {path.relative_to(ROOT)} is empty'
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            target = link.removeprefix(SITE) if link.startswith(SITE) else link
            parts = urlsplit(target)
            if parts.scheme or parts.netloc: continue
            base = DOCS if link.startswith(SITE) or parts.path.startswith('/') else path.parent
            linked = (base/unquote(parts.path.lstrip('/'))).resolve() if parts.path else path
            if linked.is_dir(): linked /= 'index.html'
            where = path.relative_to(DOCS)
            if not linked.exists(): yield f'{where} links to {link}, which does not exist'
            elif linked in pages and parts.fragment and unquote(parts.fragment) not in pages[linked].ids:
                yield f'{where} links to {link}, but {linked.name} has no such place'

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quarto', action='store_true', help='render with Quarto')
    args = parser.parse_args()
    os.environ.update({name: ENV[name] for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'HF_HUB_OFFLINE')})
    process()
    render_quarto() if args.quarto else render_smalldocs()
    found = list(problems())
    print(*found, sep='\n') if found else print(f'{len(notebooks())} notebooks, {len(list(DOCS.rglob("*.html")))} pages in {DOCS.name}/, no broken link.')
    sys.exit(bool(found))

if __name__ == '__main__': main()
