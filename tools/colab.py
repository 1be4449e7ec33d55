"""Notebooks as Colab runs them: python tools/colab.py [NAMES]

Each lies alone in an empty folder, in a venv that has what Colab has and no cammimic, and is run by a Jupyter kernel that calls itself
Colab's, so its hidden line installs the package and fetches what lies beside the notebooks. GitHub's address leads to this working
tree, and versions are those of constraints.txt. Cells that the tests skip are skipped here too.
"""
import json, os, re, shutil, sys, tempfile, time, venv
from pathlib import Path
from project import CONFIG, ENV, ROOT, call, cells, notebooks, packages, pins
from run_notebooks import find

COLAB = 'ipykernel nbclient ipywidgets matplotlib scipy scikit-image'.split() # Beside torch; Colab has much more
KERNEL = "type(get_ipython()).__repr__ = lambda shell: '<google.colab._shell.Shell object>'"
EXECUTE = "import sys, nbformat; from nbclient import NotebookClient; NotebookClient(nbformat.read(sys.argv[1], 4), timeout=1200, kernel_name='python3').execute()"

INSTALLED = "import json; from importlib.metadata import distribution; print(json.loads(distribution('cammimic').read_text('direct_url.json'))['vcs_info']['commit_id'])"

def extras(path): return sorted({extra for found in re.findall(r'%pip install -q "cammimic\[([\w,]+)\]', ''.join(cell['source'] for cell in cells(path))) for extra in found.split(',')})

def run(*command, **options):
    status, said = call(*command, **options)
    if status: raise RuntimeError(said[-3000:].rstrip())
    return said

def as_on_colab(path, target):
    "A copy without the cells that the tests skip."
    flags = re.compile(rf'^#\|\s*({"|".join(CONFIG["tst_flags"].split())}|eval:\s*false)\b', re.M)
    book = json.loads(path.read_text(encoding='utf-8'))
    book['cells'] = [cell for cell in book['cells'] if cell['cell_type'] == 'markdown' or not flags.search(''.join(cell['source']))]
    target.write_text(json.dumps(book), encoding='utf-8')

def publish(target, env):
    "A repository of one commit with the files of the working tree, which lets pip fetch files one by one, as GitHub does; its commit."
    for name in filter(None, run('git', '-C', ROOT, 'ls-files', '-co', '--exclude-standard', '-z', env=env).split('\0')):
        if not os.path.lexists(ROOT/name): continue
        (target/name).parent.mkdir(parents=True, exist_ok=True); shutil.copy2(ROOT/name, target/name, follow_symlinks=False)
    for command in (['init', '-q'], ['add', '-A', '-f'], ['commit', '-q', '-m', 'Published'], ['config', 'uploadpack.allowFilter', 'true'], ['config', 'uploadpack.allowAnySHA1InWant', 'true']): run('git', '-C', target, *command, env=env)
    return run('git', '-C', target, 'rev-parse', 'HEAD', env=env).strip()

def check(paths, folder, report=print):
    "Run notebooks; what went wrong, by name."
    (folder/'gitconfig').write_text(f'[user]\nname = colab\nemail = colab@localhost\n[safe]\ndirectory = *\n[url "file://{folder/"github"}"]\ninsteadOf = {CONFIG["git_url"]}\n')
    env = dict(ENV, GIT_CONFIG_GLOBAL=str(folder/'gitconfig'), GIT_CONFIG_NOSYSTEM='1')
    commit = publish(folder/'github', env)
    venv.create(folder/'colab', with_pip=True)
    python = folder/'colab'/'bin'/'python'
    startup = folder/'ipython'/'profile_default'/'startup'
    startup.mkdir(parents=True); (startup/'00-colab.py').write_text(KERNEL)
    constraints = folder/'colab.txt'
    constraints.write_text(''.join(f'{name}=={version}\n' for name, version in pins().items()))
    env |= dict(IPYTHONDIR=str(folder/'ipython'), PIP_CONSTRAINT=str(constraints), PATH=f'{python.parent}{os.pathsep}{ENV["PATH"]}', PIP_DISABLE_PIP_VERSION_CHECK='1', MPLBACKEND='module://matplotlib_inline.backend_inline')
    run(python, '-m', 'pip', 'install', '-q', *COLAB, f'torch=={pins()["torch"]}', env=env)
    optional, failed, before = set().union(*(packages(key) for key in CONFIG if key.startswith('extra_'))) - set(COLAB), {}, None
    for path in sorted(paths, key=lambda path: (extras(path), path.name)):
        if extras(path) != before: run(python, '-m', 'pip', 'uninstall', '-q', '-y', 'cammimic', *sorted(optional - {'fastcore'}), env=env)  # what another notebook brought
        before, alone, begin = extras(path), folder/path.stem, time.perf_counter()
        alone.mkdir(); as_on_colab(path, alone/path.name)
        try:
            run(python, '-c', EXECUTE, path.name, cwd=alone, env=env, timeout=1500)
            if run(python, '-c', INSTALLED, cwd=folder, env=env).strip() != commit: raise RuntimeError('cammimic was not installed from this repository')
        except (RuntimeError, TimeoutError) as failure: failed[path.name] = str(failure)
        report(f'{"FAILED" if path.name in failed else "passed"}  {path.name}  {time.perf_counter() - begin:.0f} s' + (f'\n{failed[path.name][-1500:]}' if path.name in failed else ''))
        shutil.rmtree(alone)
    return failed

def main():
    with tempfile.TemporaryDirectory(prefix='cammimic-colab-') as folder:
        failed = check([find(name) for name in sys.argv[1:]] or [path for path in notebooks() if 'google.colab' in path.read_text()], Path(folder).resolve(), lambda text: print(text, flush=True))
    sys.exit(bool(failed))

if __name__ == '__main__': main()
