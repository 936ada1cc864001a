"""Request batching: items that arrive while one batch is computed form the next batch."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Computes results for single items in batches, in one thread beside the event loop.

    compute: returns one result for each item, in order; `submit` raises a result that is an exception
    max_batch: the most items in a batch
    """

    def __init__(self, compute: Callable[[Sequence[Item]], Sequence[Result | Exception]], max_batch: int = 32) -> None:
        self._compute, self._max_batch = compute, max_batch
        self._queue: asyncio.Queue[tuple[Item, asyncio.Future[Result]]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1)

    async def submit(self, item: Item) -> Result:
        """Return the result for one item."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((item, future))
        return await future

    async def run(self) -> None:
        """Compute batches until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._max_batch and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._process(batch)

    async def _process(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        loop = asyncio.get_running_loop()
        results: Sequence[Result | Exception]
        try:
            results = await loop.run_in_executor(self._thread, self._compute, [item for item, _ in batch])
        except Exception as error:  # fails these items only: the next batch is computed
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # the request was cancelled
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
