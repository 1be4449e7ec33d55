"The package as settings.ini describes it."

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
parser = ConfigParser(delimiters=["="])
parser.read(root / "settings.ini", encoding="utf-8")
config = parser["DEFAULT"]


def entries(key):
    return [line.strip() for line in config.get(key, "").splitlines() if line.strip()]


def absolute(text):
    "Relative links of the README, made to lead to the repository: PyPI shows it without."

    def lead(found):
        if found[1].startswith(("!", "src")):
            start = config["git_url"].replace("github.com", "raw.githubusercontent.com")
        else:
            start = config["git_url"] + "/blob"
        return f"{found[1]}{start}/v{config['version']}/{found[2]}"

    parts = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(
        part
        if part.startswith("```")
        else re.sub(r'(!?\[[^\]]*\]\(|(?:src|href)=")(?![a-zA-Z]+:|#)([^)\s"]+)', lead, part)
        for part in parts
    )


licenses = {"apache2": "Apache-2.0"}
status = {"1": "Planning", "2": "Pre-Alpha", "3": "Alpha", "4": "Beta", "5": "Production/Stable"}
readme = root / "README.md"

setup(
    name=config["lib_name"],
    version=config["version"],
    description=config["description"],
    long_description=absolute(readme.read_text(encoding="utf-8")) if readme.exists() else config["description"],
    long_description_content_type="text/markdown",
    license=licenses[config["license"]],
    license_files=["LICENSE"],
    author=config["author"],
    author_email=config["author_email"],
    url=config["git_url"],
    project_urls={"Documentation": config["doc_host"] + config["doc_baseurl"]},
    keywords=config["keywords"].split(),
    classifiers=[
        f"Development Status :: {config['status']} - {status[config['status']]}",
        f"Intended Audience :: {config['audience']}",
        f"Natural Language :: {config['language']}",
        "Programming Language :: Python :: 3",
    ],
    python_requires=f">={config['min_python']}",
    packages=find_packages(include=[config["lib_path"], config["lib_path"] + ".*"]),
    package_data={
        config["lib_path"]: [
            f"assets/**/*.{kind}" for kind in ("mp4", "gif", "jpg", "png", "safetensors", "json", "txt", "md", "html")
        ]
    },
    install_requires=entries("requirements"),
    extras_require={
        "dev": entries("dev_requirements") + entries("extra_notebooks"),
        "notebooks": entries("extra_notebooks"),
        "colmap": entries("extra_colmap"),
        "metrics": entries("extra_metrics"),
        "bench": entries("extra_bench"),
        "dataset": entries("extra_dataset"),
        "study": entries("extra_study"),
        "heif": entries("extra_heif"),
        "ray": entries("extra_ray"),
        "app": entries("extra_app"),
    },
    entry_points={
        "console_scripts": entries("console_scripts"),
        "nbdev": [f"{config['lib_path']}={config['lib_path']}._modidx:d"],
    },
    zip_safe=False,
)
