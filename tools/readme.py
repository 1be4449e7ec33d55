"""Write README.md from nbs/index.ipynb: its Markdown cells, code and stored outputs.

Links and pictures are made to work from the repository's root. A picture that a cell shows is stored in nbs/media/.
What only a website can show (`::: {.content-visible when-format="html"}` blocks, shortcodes, HTML videos) is left out.
"""

import argparse
import base64
import re
import sys

from project import CONFIG, NBS, ROOT, cells

README, MEDIA = ROOT / "README.md", NBS / "media"
HEADER = "<!-- Made from nbs/index.ipynb by `make readme`; edit that. -->\n\n"
HIDDEN = {"hide", "hide_input", "export", "exporti", "default_exp"}


def directives(source):
    "The directives of a cell, as a dict, and its source without them."
    found = dict(re.findall(r"^#\|\s*([\w-]+):?[ \t]*(.*)$", source, re.M))
    return found, re.sub(r"^#\|.*\n?", "", source, flags=re.M).strip("\n")


def local(target):
    "A link that is relative to nbs/, made relative to the repository's root."
    if re.match(r"[a-z][a-z0-9+.-]*:|[#/]", target, re.I):
        return target
    return target[3:] if target.startswith("../") else f"nbs/{target}"


def divs(text):
    "Drop the blocks that only a website shows, and the marks of the others."
    kept, stack = [], []
    for line in text.split("\n"):
        if mark := re.match(r":::+\s*(.*)", line):
            if mark.group(1):
                stack.append("content-visible" in mark.group(1) and "html" in mark.group(1))
            elif stack:
                stack.pop()
        elif not any(stack):
            kept.append(line)
    return "\n".join(kept)


def markdown(text):
    "A Markdown cell as GitHub should read it."
    parts = re.split(r"(^```.*?^```[^\n]*$)", text, flags=re.M | re.S)
    for index in range(0, len(parts), 2):
        part = divs(parts[index])
        part = re.sub(r"^\{\{<.*?>\}\}\s*$", "", part, flags=re.M)
        part = re.sub(r"<video\b.*?</video>", "", part, flags=re.S)
        part = re.sub(r"(\]\()([^()\s]+)", lambda found: found.group(1) + local(found.group(2)), part)
        part = re.sub(r"(\]\([^()]*\))\{[^}]*\}", r"\1", part)
        parts[index] = re.sub(r'((?:src|href)=")([^"]+)', lambda found: found.group(1) + local(found.group(2)), part)
    return re.sub(r"\n{3,}", "\n\n", "".join(parts)).strip()


def shown(cell, pictures):
    "The stored outputs of a code cell as Markdown; its pictures are added to `pictures`."
    for index, output in enumerate(cell.get("outputs", [])):
        data = {
            kind: "".join(value) if isinstance(value, list) else value
            for kind, value in output.get("data", {}).items()
            if kind.startswith(("text", "image"))
        }
        picture = next((kind for kind in ("image/png", "image/jpeg", "image/gif") if kind in data), None)
        if output["output_type"] == "stream":
            yield f"```text\n{''.join(output['text']).rstrip()}\n```"
        elif picture:
            name = f"index_{cell['id']}_{index}.{picture[6:]}"
            pictures[MEDIA / name] = base64.b64decode(data[picture])
            yield f"![](nbs/media/{name})"
        elif "text/markdown" in data:
            yield markdown(data["text/markdown"])
        elif "<table" in data.get("text/html", ""):
            yield re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.S).strip()
        elif "<video" in data.get("text/html", "") or "<iframe" in data.get("text/html", ""):
            continue
        elif "text/plain" in data:
            yield f"```text\n{data['text/plain'].rstrip()}\n```"


def make():
    "README.md as it should be, and the pictures it needs as a dict of path and bytes."
    parts, pictures = [], {}
    for cell in cells(NBS / CONFIG.get("readme_nb", "index.ipynb")):
        if cell["cell_type"] == "markdown":
            parts.append(markdown(cell["source"]))
        if cell["cell_type"] != "code":
            continue
        found, source = directives(cell["source"])
        if "hide" in found or found.get("include") == "false":
            continue
        if source and not HIDDEN & found.keys() and found.get("echo") != "false":
            shell = all(line.startswith("!") for line in source.splitlines() if line.strip())
            parts.append(
                "```sh\n" + re.sub(r"^!", "", source, flags=re.M) + "\n```" if shell else f"```python\n{source}\n```"
            )
        if "hide_output" not in found and found.get("output") != "false":
            parts += shown(cell, pictures)
    return HEADER + "\n\n".join(part for part in parts if part) + "\n", pictures


def problems():
    "What is wrong with README.md, in sentences."
    text, pictures = make()
    if not README.exists() or README.read_text(encoding="utf-8") != text:
        yield "README.md is not what nbs/index.ipynb gives: run make readme"
    for path, content in pictures.items():
        if not path.exists() or path.read_bytes() != content:
            yield f"{path.relative_to(ROOT)} is not what nbs/index.ipynb shows: run make readme"
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for link in re.findall(r"\]\(([^()\s]+)", prose) + re.findall(r'(?:src|href)="([^"]+)', prose):
        target = link.partition("#")[0]
        if (
            target
            and not re.match(r"[a-z][a-z0-9+.-]*:", target, re.I)
            and ROOT / target not in pictures
            and not (ROOT / target).exists()
        ):
            yield f"README.md links to {target}, which does not exist"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; say what differs")
    if not parser.parse_args().check:
        text, pictures = make()
        for path, content in pictures.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        for stale in set(MEDIA.glob("index_*")) - pictures.keys():
            if stale.name not in text:
                stale.unlink()
        README.write_text(text, encoding="utf-8")
    found = list(problems())
    print(*found, sep="\n") if found else print("README.md is what nbs/index.ipynb gives.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
