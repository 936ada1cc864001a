"""The studio's routes: parse, ask, answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from scholars.errors import InputError
from scholars.prediction import Named
from scholars.serve import uploads
from scholars.serve.batching import Batcher
from scholars.serve.forms import take_in
from scholars.serve.jobs import Full, Job, Jobs
from scholars.serve.present import Present
from scholars.serve.scratch import Receiving, remove_abandoned
from scholars.serve.security import Guard

_PAGES = Path(__file__).parent / "static"
# Bytes of a body: an image as a camera makes it; a task.
_IMAGE, _TASK = 32 * 2**20, uploads.MOST_BYTES
_MOST_DREAMS = 200


class Guess(BaseModel):
    """A class and its probability."""

    name: str = Field(serialization_alias="class")
    probability: float


class Prediction(BaseModel):
    """What an image was taken for, the likeliest first; whether it is unlike anything learned (None: cannot say)."""

    guesses: list[Guess]
    unfamiliar: bool | None
    generation: int


def studio(folder: Path, token: str | None = None, closing: asyncio.Event | None = None) -> Guard:
    """The application for the scholar in ``folder``, guarded. Raises InputError where there is none.

    token: what a visitor must know; None: only this machine is answered
    closing: set when the server is about to end, which waits for its answers: those that follow a task end then
    """
    folder = folder.resolve()  # where the server was started says nothing of what it is called
    present = Present(folder)
    batcher: Batcher[bytes, tuple[Named, int]] = Batcher(present.named)
    jobs = Jobs(folder, present.reload, closing)
    receiving = Receiving()

    @asynccontextmanager
    async def working(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(remove_abandoned)
        workers = [asyncio.create_task(one) for one in (batcher.run(), jobs.run(), jobs.end_watching())]
        yield
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await receiving.ended()

    app = FastAPI(title="Scholars studio", version="1", lifespan=working, docs_url=None, redoc_url=None)
    app.mount("/static", StaticFiles(directory=_PAGES), name="static")

    @app.exception_handler(InputError)
    async def refused(request: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(OSError)
    async def not_kept(request: Request, error: OSError) -> JSONResponse:
        return JSONResponse({"detail": f"the studio cannot write or read: {error.strerror or error}"}, 507)

    @app.exception_handler(Full)
    async def busy(request: Request, error: Full) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 429)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=499)  # which nobody hears

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGES / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(_PAGES / "docs.html")

    @app.get("/scholar")
    async def scholar() -> dict[str, Any]:
        """What the scholar knows: classes, lineage, networks; generations that one can go back to; unfinished jobs."""
        return {**await run_in_threadpool(present.described), "jobs": jobs.unfinished()}

    @app.post("/predict", openapi_extra=_either("an image file"))
    async def predict(request: Request, top: Annotated[int, Query(ge=1, le=1000)] = 5) -> Prediction:
        """Name what is in an image: the body is an image file, or a form with one called ``image``."""
        found, generation = await batcher.ask(await _image(request))
        guesses = [Guess(name=name, probability=value) for name, value in found.guesses[:top]]
        return Prediction(guesses=guesses, unfamiliar=found.unfamiliar, generation=generation)

    @app.get("/dreams")
    async def dreams(
        n: Annotated[int, Query(ge=1, le=_MOST_DREAMS)] = 24,
        seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        of: Annotated[str | None, Query(alias="class")] = None,
    ) -> dict[str, Any]:
        """Draw dreams: PNGs in data URIs, and what the scholar sees in each. Equal seeds give equal dreams."""
        return {"dreams": await run_in_threadpool(present.dreams, n, seed, of)}

    @app.post("/tasks", status_code=202, openapi_extra=_either("a zip file of class folders"))
    async def teach(request: Request, name: Annotated[str, Query(min_length=1, max_length=80)]) -> Job:
        """Teach a task: the body is a zip file of a folder per class, or a form of files called CLASS/FILE."""
        async with receiving.one() as scratch:
            source, note = await _taken_in(request, scratch.folder, present.scholar.classes)
            return jobs.add(name, source, scratch.close, note)

    @app.get("/jobs/{identity}")
    async def job(identity: str, request: Request) -> Any:
        """How a task gets on: once, or as server-sent events where ``Accept: text/event-stream`` asks for them."""
        found = jobs.get(identity)
        if found is None:
            raise HTTPException(404, "there is no such job; the studio may have been started anew")
        if "text/event-stream" not in request.headers.get("accept", ""):
            return asdict(found)

        async def events() -> AsyncIterator[str]:
            async for words in jobs.watch(found):
                yield f"data: {json.dumps(words)}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @app.post("/generations/{key}")
    async def go_back(key: str) -> dict[str, Any]:
        """Let an earlier generation, kept beside the scholar, answer and learn from now on. The present one is kept."""
        if jobs.unfinished():
            raise HTTPException(409, "a task is being taught: go back when it is done")
        await run_in_threadpool(present.go_back, key)
        return await run_in_threadpool(present.described)

    return Guard(app, token, lambda path: _TASK if path == "/tasks" else _IMAGE)


def _either(what: str) -> dict[str, Any]:
    body = {"schema": {"type": "string", "format": "binary", "description": what}}
    return {"requestBody": {"required": True, "content": {"application/octet-stream": body, "multipart/form-data": {}}}}


async def _image(request: Request) -> bytes:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1) as form:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise InputError("the form has no file called image")
        return await image.read()


async def _taken_in(request: Request, scratch: Path, classes: Collection[str]) -> tuple[Path, str | None]:
    """What was sent, as a folder of class folders inside ``scratch``; see `uploads.Intake.root`."""
    intake = uploads.Intake(scratch / "images")
    if (kind := request.headers.get("content-type", "")).startswith("multipart/form-data"):
        await take_in(kind, request.stream(), intake)
    else:
        archive = scratch / "archive.zip"
        with archive.open("wb") as file:
            async for piece in request.stream():
                file.write(piece)
        unpacking = asyncio.create_task(run_in_threadpool(uploads.unpack, archive, intake))
        try:
            await asyncio.shield(unpacking)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: it would go on writing what is about to be removed.
            intake.stop()
            await asyncio.wait([unpacking])
            raise
        archive.unlink()
    return intake.root(classes)
