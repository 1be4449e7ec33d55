"""Everything that must hold, step by step; `make test` and CI run it.

The last line is `N passed, N failed`. It counts notebooks; any other step that fails counts as one failure more, and is
named above. With step names as arguments only those run.
"""
import argparse, importlib.metadata, json, os, re, shutil, sys, tarfile, tempfile, time, traceback, venv, zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import readme, run_notebooks
from project import CONFIG, ENV, PACKAGE, ROOT, call, cells, exported_module, notebooks, packages, pins, room

NAME = CONFIG['lib_name']
HEAVY = ('torch', 'diffusers', 'transformers', 'peft')
LINT = 'E9,F401,F821,F822,F823'
TRANSFER = '--num-frames 4 --train-steps 2 --steps 2 --seed 0' # Makes a transfer tiny
PACKAGE_LIMIT = 30_000_000 # Bytes of the wheel; the embedded backbone may take 20 MB of them
NOTEBOOK_TIMEOUT = 1200
LIGHT = ('metrics.camerascore', 'metrics.scoring', 'app.preview', 'app.measuring_commands', 'app.generating_commands', 'app.cli')

class Failed(Exception): pass

def run(*command, cwd=ROOT, env=ENV, timeout=900):
    "What a command prints; `Failed` with the end of it if its status is not 0."
    name = ' '.join(Path(str(part)).name if os.sep in str(part) else str(part) for part in command)
    try: status, said = call(*command, cwd=cwd, env=env, timeout=timeout)
    except TimeoutError as failure: raise Failed(f'{name}: {failure}') from None
    if status: raise Failed(f'{name} ended with status {status}\n{said[-4000:].rstrip()}')
    return said

def require(problems):
    if problems := list(problems): raise Failed('\n'.join(problems))

def agree(python):
    "`Failed` if packages lack or contradict one another. That decord's wheel names no platform in its metadata is no matter."
    try: run(python, '-m', 'pip', '--disable-pip-version-check', 'check')
    except Failed as failure: require(line for line in str(failure).splitlines()[1:] if not line.startswith('decord ') or 'platform' not in line)

def step_install():
    "Installed as pinned"
    agree(sys.executable)
    def off():
        for name, version in pins().items():
            try: found = importlib.metadata.version(name).partition('+')[0]
            except importlib.metadata.PackageNotFoundError: continue # Not for this platform
            if found != version: yield f'{name} should be {version}, and is {found}'
    require(off())
    where = Path(run(sys.executable, '-c', f'import {NAME}; print({NAME}.__file__)', cwd=tempfile.gettempdir()).strip())
    if where.parent != PACKAGE: raise Failed(f'{NAME} is imported from {where.parent}, not from this repository')
    return f'{len(pins())} packages'

def step_clean():
    "Notebooks clean, modules in sync with them"
    with tempfile.TemporaryDirectory(prefix=f'{NAME}-export-') as folder:
        copy = Path(folder)
        shutil.copy(ROOT/'settings.ini', copy)
        for path in notebooks():
            (copy/path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy/path.relative_to(ROOT))
        (copy/PACKAGE.name).mkdir()
        shutil.copy(PACKAGE/'__init__.py', copy/PACKAGE.name)
        env = dict(ENV, XDG_CONFIG_HOME=folder)
        run(Path(sys.executable).with_name('nbdev_clean'), cwd=copy, env=env)
        run(Path(sys.executable).with_name('nbdev_export'), cwd=copy, env=env)
        require(differences(copy))
    return f'{len(notebooks())} notebooks'

def differences(copy):
    "How the notebooks and modules differ from those in `copy`, cleaned and exported anew."
    for path in notebooks():
        if path.read_bytes() != (copy/path.relative_to(ROOT)).read_bytes(): yield f'{path.relative_to(ROOT)} is not clean: run nbdev_clean'
        if path.stat().st_size > 1_000_000: yield f'{path.relative_to(ROOT)} is over 1 MB'
        if any(len(json.dumps(output)) > 201_000 for cell in cells(path) for output in cell.get('outputs', [])): yield f'{path.relative_to(ROOT)} holds an output over 200 kB: store a smaller one, or a file beside it'
        if any(output['output_type'] == 'error' for cell in cells(path) for output in cell.get('outputs', [])): yield f'{path.relative_to(ROOT)} holds the output of a failed cell: run make run NB={path.stem}'
    here, there = ({path.relative_to(top) for path in (top/PACKAGE.name).rglob('*.py')} for top in (ROOT, copy))
    for path in sorted(here | there):
        if path.name == '__init__.py' and path not in there: continue
        if path not in there: yield f'{path} is exported by no notebook'
        elif path not in here or (ROOT/path).read_bytes() != (copy/path).read_bytes(): yield f'{path} is out of sync with its notebook: run nbdev_export'

def step_lint():
    "No undefined or unused name"
    run(sys.executable, '-m', 'ruff', 'check', '--isolated', '--no-cache', '--quiet', '--output-format', 'concise', '--select', LINT, PACKAGE.name, 'tools', 'setup.py')

def is_light(path):
    "Whether the module of a notebook must import none of the heavy packages: geometry, scores of motion, command line."
    name = exported_module(path)
    return room(path) in (None, '1_geometry') or name in LIGHT

def step_import():
    "Every module imports afresh, the light ones without torch"
    exporting = [path for path in notebooks() if exported_module(path)]
    def one(path):
        module = f'{NAME}.{exported_module(path)}'
        check = f"; import sys; loaded = [name for name in {HEAVY} if name in sys.modules]; assert not loaded, f'{module} imports {{loaded}}'" if is_light(path) else ''
        try: run(sys.executable, '-c', f'import {module}{check}', cwd=tempfile.gettempdir())
        except Failed as failure: return str(failure)
    with ThreadPoolExecutor(2) as pool: require(filter(None, pool.map(one, exporting)))
    return f'{len(exporting)} modules, {sum(map(is_light, exporting))} of them light'

def step_site():
    "The site renders, with a page for each notebook and no broken link"
    return run(sys.executable, ROOT/'tools/docs.py').strip().splitlines()[-1]

def step_readme():
    "README.md is what nbs/index.ipynb gives"
    require(readme.problems())

def step_colab():
    "Two notebooks as Colab runs them, from their install line on; tools/colab.py runs all"
    import colab
    if not (ROOT/'.git').exists(): return 'skipped: this is no clone'
    chosen = [run_notebooks.find(name) for name in ('annotation', 'responsible_use')]
    with tempfile.TemporaryDirectory(prefix=f'{NAME}-colab-') as folder: require(f'{name}: {text}' for name, text in colab.check(chosen, Path(folder).resolve(), str).items())
    return f'{len(chosen)} notebooks'

def step_package():
    "The wheel, in a venv of its own outside the repository: help, and the first tutorial with a tiny transfer"
    with tempfile.TemporaryDirectory(prefix=f'{NAME}-wheel-') as folder:
        folder = Path(folder).resolve()
        wheel = build(folder/'dist')
        python = second_venv(folder, wheel)
        work = folder/'elsewhere'
        work.mkdir()
        said = use(python, work)
        return f'{wheel.stat().st_size/1e6:.1f} MB; {said}'

def build(target):
    "Build the sdist and from it the wheel, and compare what they hold with the package's folder."
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', target, ROOT)
    [wheel], [sdist] = target.glob('*.whl'), target.glob('*.tar.gz')
    run(sys.executable, '-m', 'twine', 'check', '--strict', wheel, sdist)
    wanted = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob('*') if path.is_file() and '__pycache__' not in path.parts}
    with tarfile.open(sdist) as archive: in_sdist = {name.partition('/')[2] for name in archive.getnames()}
    for kind, held in (('wheel', set(zipfile.ZipFile(wheel).namelist())), ('sdist', in_sdist)):
        require(f'{name} is not in the {kind}' for name in sorted(wanted - held))
    with zipfile.ZipFile(wheel) as archive: page = archive.read(next(name for name in archive.namelist() if name.endswith('METADATA'))).decode()
    require(f'the page on PyPI has a link that leads nowhere: {link}' for link in re.findall(r'\]\(([^)\s]+)|(?:src|href)="([^"]+)"', page) for link in link if link and not re.match('https?://|#', link))
    if wheel.stat().st_size > PACKAGE_LIMIT: raise Failed(f'the wheel has {wheel.stat().st_size/1e6:.1f} MB; at most {PACKAGE_LIMIT/1e6:.0f}')
    return wheel

def second_venv(folder, wheel):
    "A venv with the wheel and what it requires: versions as pinned, but fastcore the newest there is."
    developing = packages('dev_requirements') | packages('extra_notebooks')
    constraints = folder/'constraints.txt'
    constraints.write_text(''.join(f'{name}=={version}\n' for name, version in pins().items() if name not in developing))
    venv.create(folder/'venv', with_pip=True)
    python = folder/'venv'/'bin'/'python'
    run(python, '-m', 'pip', 'install', '--quiet', '--no-compile', '--disable-pip-version-check', '--constraint', constraints, f'torch=={pins()["torch"]}', wheel)
    agree(python)
    return python

def use(python, work):
    "Use the installed package as a stranger would, from a folder that is not the repository."
    where = "import importlib.metadata, importlib.resources, {0}; print(importlib.metadata.version('fastcore'), *[importlib.resources.files({0})/'assets'/name for name in ('demo_reference.mp4', 'demo_image.jpg')], sep='\\n')"
    fastcore, reference, _ = run(python, '-c', where.format(NAME), cwd=work).splitlines()
    if not Path(reference).is_relative_to(python.parent.parent): raise Failed(f'the assets are not those of the wheel: {reference}')
    command = python.with_name(NAME)
    run(command, '--help', cwd=work)
    said = run('bash', '-ec', tutorial(), cwd=work, env=dict(ENV, PATH=f'{python.parent}{os.pathsep}{ENV["PATH"]}'))
    for name in ('clip.mp4', 'motion.png', 'draft.mp4', 'result.mp4', 'result.raw.mp4', 'result.png', 'result.json'):
        if not (work/name).exists() or not (work/name).stat().st_size: raise Failed(f'{name} was not written')
    if Path(reference).read_bytes() != (work/'clip.mp4').read_bytes() or len(re.findall(r'^ratio ', said, re.M)) != 2: raise Failed(f'the tutorial went otherwise than it says\n{said}')
    return f'fastcore {fastcore}'

def tutorial():
    "The shell commands of the first tutorial as they stand there, but for the package, which is installed already, and with fewer steps."
    blocks = re.findall(r'^```sh\n(.*?)^```', '\n'.join(cell['source'] for cell in cells(run_notebooks.find('first_transfer')) if cell['cell_type'] == 'markdown'), re.M | re.S)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    [long] = [line for line in lines if f'{NAME} transfer' in line]
    return '\n'.join(f'{line} {TRANSFER}' if line is long else line for line in lines if not line.startswith('pip install'))

def step_notebooks():
    "The notebooks, as tests"
    if not notebooks(): raise Failed('there are no notebooks')
    return run_notebooks.run_all(notebooks(), timeout=NOTEBOOK_TIMEOUT)

def step_fuzz():
    "Every reader, fed with damaged files"
    found = json.loads(run(sys.executable, ROOT/'tools/fuzz.py', '--inputs', '650', '--seed', '7').splitlines()[-1])
    return f'{found["inputs"]} files read or refused'

def step_hardening():
    "A full disk, a huge picture, caches and outputs in the way, a clock that jumps, and kill -9 in each phase"
    if not sys.platform.startswith('linux'): return 'skipped: not Linux'
    return '; '.join(json.loads(run(sys.executable, ROOT/'tools/hardening.py').splitlines()[-1]).values())

def step_browser():
    "The app, and the pages of a study and of a gallery, in Chromium, from the first click to the last"
    import study_page
    if study_page.browser_path() is None and os.environ.get('CI'): raise Failed('there is no Chromium')
    if study_page.browser_path() is None: return 'skipped: there is no Chromium; apt-get install chromium'
    study, gallery, app = (json.loads(run(sys.executable, ROOT/f'tools/{name}_page.py').splitlines()[-1]) for name in ('study', 'gallery', 'app'))
    return f'{study["participants"]} participants, {gallery["videos"]} videos at most {gallery["apart_ms"]} ms apart, app: preview {app["psnr"]} dB, Chromium {study["chromium"]}'

STEPS = {name.removeprefix('step_'): globals()[name] for name in
         ('step_install', 'step_clean', 'step_lint', 'step_import', 'step_readme', 'step_notebooks', 'step_fuzz', 'step_hardening', 'step_site', 'step_browser', 'step_package', 'step_colab')}

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('steps', nargs='*', help=', '.join(STEPS))
    chosen = parser.parse_args().steps or list(STEPS)
    runs, failures = [], []
    for name in chosen:
        print(f'\n== {name}: {STEPS[name].__doc__}', flush=True)
        start, said = time.perf_counter(), ''
        try:
            said = STEPS[name]()
            if name == 'notebooks': runs, said = said, f'{sum(run.passed for run in said)} of {len(said)}'
            verdict = 'FAILED' if name == 'notebooks' and not all(run.passed for run in runs) else 'ok'
        except Exception as failure:
            verdict = 'FAILED'
            failures.append(name)
            print(failure if isinstance(failure, Failed) else traceback.format_exc(limit=-3))
        print(f'{verdict}{f" ({said})" if said else ""}, {time.perf_counter() - start:.0f} s', flush=True)
    passed = sum(run.passed for run in runs)
    print()
    for run_ in runs:
        if not run_.passed: print(f'failed: {run_.path.relative_to(ROOT)}')
    for name in failures: print(f'failed: {name}')
    print(f'{passed} passed, {len(runs) - passed + len(failures)} failed')
    sys.exit(bool(failures) or passed < len(runs))

if __name__ == '__main__': main()
