"""Restart notebooks, run them from top to bottom, and store their outputs.

Each notebook runs in a process of its own, in its own folder. Cells with one of the `tst_flags` of settings.ini or
`#| eval: false` are skipped and keep the outputs they have. Outputs are cleaned as `nbdev_clean` does. If any cell of
any notebook fails, nothing is written. With --check nothing is written at all: the notebooks are tests.
"""
import argparse, os, re, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from project import CONFIG, ENV, NBS, ROOT, notebooks

PROGRESS = re.compile(r'\d+%\|')

@dataclass
class Run:
    path: Path
    passed: bool
    seconds: float
    message: str # What went wrong, or what the notebook wrote to stderr

def skipped(cell, flags):
    "Whether a cell must not run here."
    if cell.cell_type != 'code' or 'nbdev_export(' in cell.source: return True
    directives = getattr(cell, 'directives_', None) or {}
    return directives.get('eval:', [''])[0].lower() == 'false' or bool(flags & directives.keys())

def tidy(cell, index):
    "Clean the new outputs of a cell; what it wrote to stderr goes to the terminal instead."
    kept = []
    for output in cell.outputs:
        if output['output_type'] == 'stream':
            text = ''.join(output['text'])
            if output['name'] == 'stderr':
                sys.stderr.write(f'cell {index}: {text.rstrip()}\n')
                continue
            output['text'] = [line for line in text.splitlines(True) if not PROGRESS.search(line)]
            if not output['text']: continue
        shown = ''.join(output.get('text', [])) + ''.join(''.join(value) for kind, value in output.get('data', {}).items() if kind.startswith('text'))
        for folder in (ROOT, Path.home(), Path(tempfile.gettempdir())):
            if f'{folder}{os.sep}' in shown: sys.exit(f'cell {index}: its output shows a path of this machine ({folder})')
        kept.append(output)
    cell.outputs = kept

def execute(
    source, # Notebook to run
    target, # Where the notebook with its new outputs goes; None: nowhere
): # Whether every cell ran
    "Run one notebook in this process."
    from execnb.nbio import write_nb
    from execnb.shell import CaptureShell, format_exc
    from nbdev.clean import clean_nb
    from nbdev.frontmatter import FrontmatterProc
    from nbdev.process import NBProcessor
    front = getattr(NBProcessor(source, procs=FrontmatterProc, process=True).nb, 'frontmatter_', None) or {}
    if str(front.get('skip_exec', '')).lower() == 'true': return True
    notebook = NBProcessor(source, rm_directives=False).nb
    flags = set(CONFIG.get('tst_flags', 'notest').split())
    os.chdir(source.parent)
    shell = CaptureShell(source)
    for index, cell in enumerate(notebook.cells):
        if skipped(cell, flags): continue
        cell.outputs = []
        shell.cell(cell)
        if shell.exc:
            sys.stderr.write(f'cell {index}:\n{cell.source}\n\n{"".join(format_exc(shell.exc))}')
            return False
        if target: tidy(cell, index)
    if target:
        clean_nb(notebook, clean_ids=CONFIG.getboolean('clean_ids', True))
        write_nb(notebook, target)
    return True

def run_one(path, target, *, timeout=None):
    "Run one notebook in a new process."
    env = dict(ENV, TQDM_DISABLE='1', HF_HUB_DISABLE_PROGRESS_BARS='1') if target else dict(ENV, IN_TEST='1')
    start = time.perf_counter()
    command = [sys.executable, __file__, '--child', str(path), *([str(target)] if target else [])]
    try: done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired: return Run(path, False, time.perf_counter() - start, f'still running after {timeout} s')
    message = done.stderr.strip() or ('' if done.returncode == 0 else f'ended with status {done.returncode}')
    return Run(path, done.returncode == 0, time.perf_counter() - start, message)

def run_all(paths, *, targets=None, jobs=2, timeout=None):
    "Run notebooks, `jobs` at a time, and print a line for each as it ends."
    def one(path):
        run = run_one(path, targets[path] if targets else None, timeout=timeout)
        print(f'{"passed" if run.passed else "FAILED"}  {path.relative_to(NBS)}  {run.seconds:.1f} s', flush=True)
        if run.message and (targets or not run.passed): print('    ' + run.message.replace('\n', '\n    '), flush=True)
        return run
    with ThreadPoolExecutor(jobs) as pool: return list(pool.map(one, paths))

def find(name):
    "The notebook that a name, stem or path means."
    stem = Path(name).name.removesuffix('.ipynb')
    found = [path for path in notebooks() if path.stem == stem or path.stem.partition('_')[2] == stem]
    if not found: sys.exit(f'No notebook named {name}; there are: {", ".join(path.stem for path in notebooks())}')
    return found[0]

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', help='notebooks, such as 01_video; all of them if none is named')
    parser.add_argument('--check', action='store_true', help='write nothing')
    parser.add_argument('--jobs', type=int, default=2, help='notebooks at a time')
    parser.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child: sys.exit(not execute(Path(args.names[0]), Path(args.names[1]) if len(args.names) > 1 else None))

    paths = [find(name) for name in args.names] or notebooks()
    with tempfile.TemporaryDirectory(prefix='cammimic-run-') as folder:
        targets = None if args.check else {path: Path(folder)/f'{index}.ipynb' for index, path in enumerate(paths)}
        runs = run_all(paths, targets=targets, jobs=args.jobs)
        failed = sum(not run.passed for run in runs)
        if targets and not failed:
            for path, target in targets.items():
                if not target.exists(): continue # Its front matter says skip_exec
                beside = path.with_name(f'.{path.name}.new')
                beside.write_bytes(target.read_bytes())
                os.replace(beside, path)
        elif targets: print('Nothing was written.')
    print(f'{len(runs) - failed} passed, {failed} failed')
    sys.exit(failed > 0)

if __name__ == '__main__': main()
