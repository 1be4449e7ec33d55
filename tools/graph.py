"""Who imports whom: the rooms of the package, checked and drawn.

A module imports from the rooms above its own and from lower numbers of its own room, by name, never `*`, never a
private name, and sets no attribute on what belongs to another module. The cells that test it follow the same rule, and
may import the module itself. The drawing stands in CONTRIBUTING.md; --write draws it anew."""

import argparse
import ast
import re
import sys

from project import CONFIG, MODULE_ROOMS, ROOT, cells, exported_module, notebooks

NAME = CONFIG["lib_name"]
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN = "<!-- The rooms, drawn by tools/graph.py -->"
END = "<!-- End of the rooms -->"
HEAVY = ("torch", "diffusers", "transformers", "peft")
FOREIGN = {"_active_adapter"}  # peft keeps no public way to have one adapter active on some layers and none on others


def code_of(source):
    "A cell as Python, without the lines that only IPython understands."
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def parsed(path):
    "The code cells of a notebook: whether each is exported, and its syntax tree."
    for cell in cells(path):
        if cell["cell_type"] == "code" and "google.colab" not in cell["source"]:
            exported = bool(re.search(r"^#\|\s*export", cell["source"], re.M))
            yield exported, ast.parse(code_of(cell["source"]))


def own_imports(tree):
    "Modules of the package that some code imports, without the package's name, and the names it takes from each."
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{NAME}."):
            yield node.module.removeprefix(f"{NAME}."), [alias.name for alias in node.names]
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(f"{NAME}."):
                    yield alias.name.removeprefix(f"{NAME}."), []


def foreign_attributes(tree):
    "Attributes that some code sets on what is not its own: a private one of any object, or any of an imported module."
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name.startswith(NAME)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        owner = ast.unparse(node.value)
        private = node.attr.startswith("_") and owner not in ("self", "cls") and node.attr not in FOREIGN
        if private or owner in modules:
            yield f"{owner}.{node.attr}"


def order():
    "The modules of the package in the order in which they may import one another."
    return [module for path in notebooks() if (module := exported_module(path))]


def place(path, modules):
    "How many modules a notebook may import: those before its own, or all for one that exports nothing."
    module = exported_module(path)
    return modules.index(module) if module else len(modules)


def problems():
    "What is wrong with the imports, in sentences."
    modules = order()
    for path in notebooks():
        where, limit = path.relative_to(ROOT), place(path, modules)
        for exported, tree in parsed(path):
            for module, names in own_imports(tree):
                if module not in modules:
                    yield f"{where} imports {module}, which no notebook exports"
                elif modules.index(module) > limit or exported and modules.index(module) == limit:
                    yield f"{where} imports {module}, which stands below it"
                for name in names:
                    if name == "*" or name.startswith("_"):
                        yield f"{where} imports {name} from {module}: import public names, one by one"
            if exported:
                yield from (
                    f"{where} sets {found}, which belongs to another module" for found in foreign_attributes(tree)
                )
        if exported_module(path) and path.parent.name == "1_geometry":
            yield from (f"{where} imports {found}" for found in heavy_imports(path))


def heavy_imports(path):
    "Packages too heavy for geometry that its exported cells import."
    for exported, tree in parsed(path):
        for node in ast.walk(tree) if exported else ():
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            yield from (name for name in names if name.partition(".")[0] in HEAVY)


def room_edges():
    "Rooms and those they import from, each as often as a module of one imports a module of the other."
    counts = {}
    for path in notebooks():
        if not (module := exported_module(path)):
            continue
        found = {name for exported, tree in parsed(path) if exported for name, _ in own_imports(tree)}
        for name in found:
            edge = (module.partition(".")[0], name.partition(".")[0])
            if edge[0] != edge[1]:
                counts[edge] = counts.get(edge, 0) + 1
    return counts


def drawing():
    "The rooms as a Mermaid graph, with the modules of each in their order."
    rooms = {}
    for module in order():
        room, _, name = module.rpartition(".")
        rooms.setdefault(room or "root", []).append(name)
    lines = [BEGIN, "", "```mermaid", "graph TD"]
    for room, names in rooms.items():
        folder = next((key for key, value in MODULE_ROOMS.items() if value == room), "nbs")
        lines.append(f'  {room}["<b>{folder}</b><br>{"<br>".join(names)}"]')
    shared = set(rooms["root"])
    edges = {}
    for (room, above), count in room_edges().items():
        edge = ("root" if room in shared else room, "root" if above in shared else above)
        if edge[0] != edge[1]:
            edges[edge] = edges.get(edge, 0) + count
    lines += [f"  {room} -->|{edges[room, above]}| {above}" for room, above in sorted(edges, key=str)]
    return "\n".join([*lines, "```", "", END])


def stored_drawing():
    "The drawing as it stands in CONTRIBUTING.md."
    found = re.search(f"{re.escape(BEGIN)}.*?{re.escape(END)}", PAGE.read_text(encoding="utf-8"), re.S)
    return found[0] if found else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="draw the rooms anew in CONTRIBUTING.md")
    if parser.parse_args().write:
        PAGE.write_text(PAGE.read_text(encoding="utf-8").replace(stored_drawing(), drawing()), encoding="utf-8")
    found = list(problems())
    if stored_drawing() != drawing():
        found.append("CONTRIBUTING.md does not draw the rooms as they are: run python tools/graph.py --write")
    print(*found or [f"{len(order())} modules import downwards only."], sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
