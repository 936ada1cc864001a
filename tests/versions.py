"""Does it work with the oldest and the newest that it says it works with?

python tests/versions.py [--python 3.11 ...] [--torch lowest highest] [--folder .versions]

Runs the quick part of the tests under every Python that is stated in pyproject.toml and found here, with the lowest
torch that is stated there and with the newest that pip finds, each in a virtual environment of its own, which takes up
to 7 GB and is removed afterwards. Prints a table; what is not found here is said, and skipped.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What knows of torch, of NumPy, of Pillow, of the disk: all but commands, pages and browsers.
QUICK = [
    *(f"tests/{folder}" for folder in ("evaluation", "generators", "learning", "settings", "solvers", "storage")),
    *(f"tests/{folder}" for folder in ("tasks", "training")),
    *(f"tests/cli/test_{name}.py" for name in ("doctor", "tensorboard")),
    *(f"tests/compute/test_{name}.py" for name in ("device", "sync_batchnorm")),
    *(f"tests/test_{name}.py" for name in ("ood", "scholar")),
]
VERSIONS = (
    "import platform, torch, torchvision as v; print(platform.python_version(), torch.__version__, v.__version__)"
)


def stated_pythons() -> list[str]:
    """Of the classifiers: 3.11, ..."""
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in PROJECT["classifiers"]]
    return [match[1] for match in found if match]


def lowest(package: str) -> str:
    """What pip is asked for, to get the lowest release line that is stated."""
    (stated,) = (line for line in PROJECT["dependencies"] if re.match(rf"{package}\b", line))
    return f"{package}=={re.split('>=|,', stated)[1]}.*"


def python(version: str) -> Path | None:
    """An interpreter of this version: on the path, of pyenv, or one that uv finds or installs."""
    candidates = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    candidates += sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    if shutil.which("uv"):
        asked = subprocess.run(["uv", "python", "find", version], capture_output=True, text=True, check=False)
        candidates += [Path(asked.stdout.strip())] if asked.returncode == 0 else []
    for candidate in candidates:
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        if said.startswith(f"Python {version}."):  # what is on the path may be a shim that leads nowhere
            return candidate
    return None


def tested(interpreter: Path, torch: str, folder: Path) -> tuple[bool, list[str]]:
    """Whether all went well; Python, torch, torchvision, and the last that pytest said."""
    wanted = [lowest("torch"), lowest("torchvision")] if torch == "lowest" else []
    own = folder / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    shutil.rmtree(folder, ignore_errors=True)
    try:
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
        install: list[str | Path] = [own, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[tensorboard]"]
        subprocess.run([*install, "hypothesis", "pytest", *wanted], check=True, env=environment)
        found = subprocess.run([own, "-c", VERSIONS], capture_output=True, text=True, check=True, env=environment)
        done = subprocess.run(
            [own, "-m", "pytest", "-p", "no:cacheprovider", *QUICK],
            cwd=ROOT,
            env={**environment, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode:
        print(*lines[-60:], sep="\n", file=sys.stderr)
    return done.returncode == 0, [*found.stdout.split(), lines[-1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", choices=stated_pythons(), default=stated_pythons())
    parser.add_argument("--torch", nargs="+", choices=["lowest", "highest"], default=["lowest", "highest"])
    parser.add_argument("--folder", type=Path, default=ROOT / ".versions")
    options = parser.parse_args()
    well = True
    print("| Python | torch | torchvision | tests |", "|---|---|---|---|", sep="\n", flush=True)
    for version in options.python:
        interpreter = python(version)
        for torch in options.torch:
            if interpreter is None:
                cells = [version, torch, "", "skipped: no such Python here"]
            else:
                passed, cells = tested(interpreter, torch, options.folder / f"{version}-{torch}")
                well = well and passed
            print(f"| {' | '.join(cells)} |", flush=True)
    shutil.rmtree(options.folder, ignore_errors=True)
    raise SystemExit(0 if well else 1)


if __name__ == "__main__":
    main()
