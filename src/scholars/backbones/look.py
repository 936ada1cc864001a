"""Look at a task: the features of all its images, in some views, each image decoded once."""

import hashlib
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import PIL
import torch
from PIL import Image

from scholars.backbones.backbone import Backbone
from scholars.backbones.feature_cache import cached_features, forget_features
from scholars.backbones.views import draw_views
from scholars.errors import InputError, Interrupted
from scholars.settings import Fit
from scholars.tasks.image_files import unreadable
from scholars.tasks.images import Images
from scholars.tasks.squares import least_side
from scholars.tasks.task import Task

# Called with (images looked at, all images, images a second).
OnLook = Callable[[int, int, float], None]
# To be increased with every change of what the same photograph's views are.
_VIEWS_VERSION = 1
# Images that one thread decodes and looks at before it takes the next ones.
_CHUNK = 16


def look(
    task: Task,
    backbone: Backbone,
    views: int,
    fit: Fit,
    *,
    on_progress: OnLook = lambda done, total, speed: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Task:
    """Return the task with its images in the order of their digests, and with their features.

    Test images are seen plain; training images in ``views`` more views; see `draw_views`. Features are kept in the
    user's cache until `forget_task` or until they are too many; an interrupted look goes on where it stopped.

    Raises InputError, listing them, for files that cannot be read, and for features that half precision cannot hold;
    Interrupted when asked to stop.
    """
    total = len(task.train) + len(task.test)
    train = look_at(
        task.train,
        backbone,
        views,
        fit,
        on_progress=lambda done, speed: on_progress(done, total, speed),
        stopping=stopping,
    )
    test = look_at(
        task.test,
        backbone,
        0,
        fit,
        on_progress=lambda done, speed: on_progress(len(train) + done, total, speed),
        stopping=stopping,
    )
    return replace(task, train=train, test=test)


def forget_task(task: Task, backbone: Backbone) -> None:
    """Remove what `look` kept of a task that it has returned."""
    for part in (task.train, task.test):
        if part.features is not None and part.seen_by is not None:
            forget_features(_key(part, part.seen_by, backbone, part.features.shape[1] - 1))


def seen_by(backbone: Backbone, fit: Fit) -> str:
    """Return what is equal where the same view has the same features: the backbone's key, and how squares are made."""
    return f"{backbone.record.key} {fit}"


def sort_by_digest(part: Images) -> Images:
    """Return the images in the order of their digests, equal ones by label."""
    words = part.digests.view(">u8")  # eight bytes each, the first ones the most significant
    order = np.lexsort((part.labels, *words.T[::-1]))
    return part if bool((order == np.arange(len(order))).all()) else part[order]


def _key(part: Images, seen: str, backbone: Backbone, views: int) -> str:
    names = [transform.name for transform in part.files.transforms] if part.files is not None else []
    about = (seen, backbone.engine.version, PIL.__version__, _VIEWS_VERSION, views, names)
    return hashlib.sha256(repr(about).encode() + part.digests.tobytes()).hexdigest()


def look_at(
    part: Images,
    backbone: Backbone,
    views: int,
    fit: Fit,
    *,
    on_progress: Callable[[int, float], None] = lambda done, speed: None,
    stopping: Callable[[], bool] = lambda: False,
    keep: bool = True,
) -> Images:
    """Return the images, in the order of their digests, with their features; see `look`.

    keep: whether the features are kept in the user's cache, memory-mapped; else they are in memory
    """
    part = sort_by_digest(part)
    seen, shape = seen_by(backbone, fit), (len(part), 1 + views, backbone.record.features)
    bad: list[str] = []

    def compute(done: int) -> Iterator[npt.NDArray[np.float16]]:
        first, start = done, time.perf_counter()
        for found in _in_threads(part, backbone, views, fit, done, stopping):
            if isinstance(found, list):
                bad.extend(found)
            elif not bad:
                yield found
            done += min(_CHUNK, len(part) - done)
            on_progress(done, (done - first) / (time.perf_counter() - start))
        if done < len(part):
            raise Interrupted(f"stopped while looking at the images, at {done:,} of {len(part):,}")
        if bad:
            raise unreadable(part.files.where if part.files is not None else "the images", bad, len(part))

    if not keep or not len(part):
        start = time.perf_counter()
        found = np.concatenate([np.empty((0, *shape[1:]), np.float16), *compute(0)])
        return replace(part, features=found, seen_by=seen, seconds=time.perf_counter() - start)
    folders = part.files.folder_names if part.files is not None else ()
    features, seconds = cached_features(_key(part, seen, backbone, views), shape, compute, folders)
    return replace(part, features=features, seen_by=seen, seconds=seconds)


def _in_threads(
    part: Images, backbone: Backbone, views: int, fit: Fit, first: int, stopping: Callable[[], bool]
) -> Iterator[npt.NDArray[np.float16] | list[str]]:
    """Yield the features ``[n, V, D]`` of some images after the other, or lines about those that cannot be read.

    Threads decode and look at the same time: neither waits for the other. When asked to stop, what was begun is still
    yielded, so that no image is seen twice. Raises InputError for features that half precision cannot hold.
    """
    # The engine is made before several threads want it.
    record, _ = backbone.record, backbone.engine
    threads = torch.get_num_threads()
    workers = min(os.cpu_count() or 1, threads)

    def work(start: int) -> npt.NDArray[np.float16] | list[str]:
        torch.set_num_threads(1)
        some = part[start : start + _CHUNK]

        def drawn(picture: Image.Image, digest: bytes) -> npt.NDArray[np.uint8]:
            return draw_views(picture, digest, views, record.size, record.interpolation, fit)

        pictures, bad = some.map_pictures(drawn, least_side(record.size))
        if bad:
            return bad
        images = torch.from_numpy(np.concatenate(pictures))
        seen = backbone.features(images).half()
        if not bool(seen.isfinite().all()):
            raise InputError(f"{record.name} gives features that half precision cannot hold: choose another backbone")
        return seen.numpy().reshape(len(some), 1 + views, -1)

    pending: deque[Future[npt.NDArray[np.float16] | list[str]]] = deque()
    # Threads that decode change the warning filters of the process, each without regard to the others.
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        try:
            for start in range(first, len(part), _CHUNK):
                if stopping():
                    break
                pending.append(pool.submit(work, start))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                # From the back: what is yielded must have no gap.
                while stopping() and pending and pending[-1].cancel():
                    pending.pop()
                if pending:
                    yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            # What a thread sets for itself is also what later threads begin with.
            torch.set_num_threads(threads)
