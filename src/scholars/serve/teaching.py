"""One task taught to a scholar in a process of its own, which tells its parent how it goes: a JSON object a line."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from scholars.errors import ScholarsError
from scholars.fitting import Tick
from scholars.lifetime import Watch, settings_of, teach
from scholars.registry import load_plugin
from scholars.tasks import open_task
from scholars.terminal import passing_on

# Seconds between reports: often enough for a bar to move, seldom enough to cost nothing.
_EVERY = 0.2


def main(folder: str, source: str, name: str, parent: str, *plugins: str) -> int:
    """Teach ``source`` under ``name`` to the scholar in ``folder``, whose generation of before is kept.

    parent: the studio's process; without it nobody wants this any more
    plugins: what registers the kinds of networks that are the scholar's own
    """
    # What a plugin prints is nothing for the parent.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    stop: list[int] = []

    def say(**words: Any) -> None:
        # Where the studio was killed nobody hears it.
        with suppress(BrokenPipeError):
            print(json.dumps(words), file=told, flush=True)

    signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
    last = 0.0

    def on_tick(tick: Tick) -> None:
        nonlocal last
        if tick.step == tick.steps or time.monotonic() - last > _EVERY:
            last = time.monotonic()
            say(stage=tick.stage, step=tick.step, steps=tick.steps)

    warnings.showwarning = passing_on(lambda words: say(note=words))
    watch = Watch(on_tick, lambda note: say(note=note), lambda: bool(stop) or os.getppid() != int(parent))
    try:
        for plugin in plugins:
            load_plugin(plugin)
        shape = settings_of(Path(folder), None, {}).image
        task = open_task(Path(source), size=shape.size, channels=shape.channels)
        taught = teach(folder, replace(task, name=name), keep=True, watch=watch)
    except (ScholarsError, OSError) as error:
        say(error=str(error))
        return 1
    record = taught.lineage[-1]
    say(generation=taught.generation, accuracy=record.accuracy, tested=record.test_count)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
