"""Digests of the weights of short chains of tasks: did a change of the code change what is learned?

python benchmarks/weights.py --out before.json          # the code as it was
python benchmarks/weights.py --compare before.json      # the code as it is, on the same machine

All kinds of generator with several settings, two or three small tasks each. A digest is the beginning of the SHA-256 of
all tensors of a scholar in their order, without their names. Ends with 1 if a digest differs. Weights depend on
processor and version of PyTorch: compare on one machine only. Takes about a minute.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import pages

from scholars import Images, Scholar, Settings, Task, changed, learn, open_task
from scholars.settings.overrides import parse_changes
from scholars.storage import files

BASE = (
    "image.size=16 image.channels=1 solver.steps=25 solver.width=8 solver.batch=32 generator.steps=20 "
    "generator.batch=16 generator.width=8 replay.bank=300 audit.dreams=0 ood.dreams=60"
)
# Case -> kind of generator, and what else differs from BASE.
CASES = {
    "flow": "flow",
    "flow-mlp-distil": "flow generator.net=mlp generator.distil=true generator.guidance=1.5",
    "flow-heun-patch1": "flow generator.solver=heun generator.patch=1 generator.conditional=false",
    "gan": "gan",
    "gan-minimax-cond": "gan generator.loss=minimax generator.conditional=true generator.spread=1.3",
    "r3gan": "r3gan",
    "r3gan-classify": "r3gan generator.classify=0.5 generator.critic_steps=2 replay.filter=agreement "
    "replay.temperature=2.0",
    "vae": "vae",
    "vae-mlp": "vae generator.net=mlp generator.variance=0.1 solver.kind=mlp replay.labels=hard replay.balance=classes",
    "vae-uncond": "vae generator.conditional=false replay.dreams=fresh",
    "wgan": "wgan",
    "wgan-gp": "wgan-gp",
    "wgan-gp-size": "wgan-gp generator.conditional=true generator.size=8 solver.noise=20.0 solver.warp=0.1 "
    "solver.shift=1 solver.smoothing=0.1 solver.warm_rate=0.001 replay.mixup=0.4",
}
# These chains learn the classes of the first task once more, as a third one.
THREE_TASKS = ("flow", "r3gan", "vae-mlp", "wgan-gp")


def cut_task(name: str, classes: tuple[int, ...]) -> Task:
    """Return up to 200 training and 200 test images of consecutive ``classes`` of scikit-learn's Digits."""

    def cut(part: Images) -> Images:
        keep = np.isin(part.labels, classes)
        return Images(part.images[keep][:200], part.labels[keep][:200] - classes[0])

    digits = open_task("digits")
    return Task(name, tuple(map(str, classes)), cut(digits.train), cut(digits.test))


def digest(scholar: Scholar) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of all tensors of a scholar."""
    parts: list[Any] = [part.state_dict() for part in (scholar.solver, scholar.generator) if part]
    parts += [scholar.ood.tensors()] if scholar.ood else []
    sha = hashlib.sha256()
    for tensor in itertools.chain.from_iterable(part.values() for part in parts):
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]


def digests(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each case and the digest of each of its scholars."""
    low, mid, again = (cut_task(*each) for each in (("low", (0, 1, 2)), ("mid", (3, 4)), ("again", (0, 1, 2))))
    for name in names:
        changes = parse_changes(f"{BASE} generator.kind={CASES[name]}".split())
        first = learn(low, settings=changed(Settings(), changes), seed=1)
        chain = [first, learn(mid, previous=first, seed=1)]
        if name in THREE_TASKS:
            chain.append(learn(again, previous=chain[-1], seed=2))
        yield name, [digest(scholar) for scholar in chain]
        if name == "flow":
            # The replay of something else than dreams.
            yield "past-new images", [digest(learn(mid, previous=first, seed=1, past="current data"))]
            for stored in ([], [low]):
                yield f"past-stored-{len(stored)}", [digest(learn(mid, previous=first, seed=1, past=stored))]


def main() -> int:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--out", type=Path, help="write the digests to this JSON file")
    parser.add_argument("--compare", type=Path, help="a file that --out wrote: name every case that differs")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    options: argparse.Namespace = parser.parse_args()
    before = files.read_json(options.compare) if options.compare else {}
    # The order of sums depends on the number of threads.
    torch.set_num_threads(1)
    found: dict[str, list[str]] = {}
    differ = []
    for name, each in digests(options.cases):
        found[name] = each
        equal = not before or before.get(name) == each
        differ += [] if equal else [name]
        print(name, *each, "" if equal else f"DIFFERS from {before.get(name)}", flush=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if before:
        print(f"{len(differ)} of {len(found)} cases differ" + ": " * bool(differ) + ", ".join(differ))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
