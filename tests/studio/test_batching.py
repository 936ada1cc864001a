from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence

from scholars.studio.batching import Batcher


def test_questions_that_come_while_others_are_answered_are_answered_together() -> None:
    first, seen = threading.Event(), list[int]()

    def doubled(questions: Sequence[int]) -> list[int | Exception]:
        seen.append(len(questions))
        if len(seen) == 1:
            first.wait(10)
        return [ValueError(f"not {n}") if n == 3 else 2 * n for n in questions]

    async def go() -> list[int | BaseException]:
        batcher = Batcher(doubled, max_batch=8)
        worker = asyncio.create_task(batcher.run())
        alone = asyncio.create_task(batcher.submit(0))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.submit(n)) for n in range(1, 11)]
        await asyncio.sleep(0.05)
        first.set()
        answers = await asyncio.gather(alone, *others, return_exceptions=True)
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
        return answers

    answers = asyncio.run(go())
    assert seen == [1, 8, 2]
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 2, 4, 8, 10, 12, 14, 16, 18, 20]
    assert isinstance(answers[3], ValueError)


def test_a_failure_is_told_and_the_next_are_answered() -> None:
    def once(questions: Sequence[str]) -> list[str | Exception]:
        if "bad" in questions:
            raise RuntimeError("broken")
        return list(questions)

    async def go() -> tuple[object, str]:
        batcher = Batcher(once)
        worker = asyncio.create_task(batcher.run())
        (error,) = await asyncio.gather(batcher.submit("bad"), return_exceptions=True)
        answer = await batcher.submit("good")
        worker.cancel()
        return error, answer

    error, answer = asyncio.run(go())
    assert isinstance(error, RuntimeError)
    assert answer == "good"
