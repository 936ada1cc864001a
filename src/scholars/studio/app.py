"""The studio's application: routes for the page, predictions, dreams, teaching and changing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from scholars.errors import InputError, shortlist
from scholars.inference.predict import Prediction
from scholars.learning.algebra import check_forget, check_rename
from scholars.studio import uploads
from scholars.studio.batching import Batcher
from scholars.studio.bodies import read_image, receive_images, receive_scholar
from scholars.studio.jobs import Job, JobQueue, QueueFull
from scholars.studio.security import Guard
from scholars.studio.served_scholar import ServedScholar
from scholars.studio.upload_folder import ActiveUploads, remove_stale_uploads
from scholars.studio.work import Work
from scholars.tasks.image_formats import image_suffixes
from scholars.tasks.layout import PART_NAMES

_STATIC = Path(__file__).parent / "static"
# Bytes of a request body: a photograph has less; the images of a task.
MAX_IMAGE_BYTES, MAX_TASK_BYTES = 32 * 2**20, uploads.MAX_BYTES
_MAX_DREAMS = 200
_MAX_CLASSES = 1000
# HTTP status by exception. Nobody reads the answer to a client that has disconnected.
_STATUS = {InputError: 422, QueueFull: 429, OSError: 507, ClientDisconnect: 499}


def studio(folder: Path, token: str | None = None, closing: asyncio.Event | None = None) -> Guard:
    """Return the application that serves the scholar in ``folder``. Raises InputError where there is none.

    token: required with every request; None: only requests from this machine are answered
    closing: set when the server is about to shut down; ends the event streams, for which it would wait
    """
    scholar = ServedScholar(folder)
    jobs = JobQueue(scholar.folder, scholar.reload, closing)
    app = FastAPI(title="Scholars studio", version="1", docs_url=None, redoc_url=None, lifespan=_lifespan)
    for kind in _STATUS:
        app.add_exception_handler(kind, _report_error)
    app.add_exception_handler(RequestValidationError, _report_problem)
    app.state.studio = _State(scholar, Batcher(scholar.predict), jobs, ActiveUploads())
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(_routes)
    return Guard(app, token, lambda path: MAX_TASK_BYTES if path in ("/tasks", "/merge") else MAX_IMAGE_BYTES)


@dataclass(frozen=True)
class _State:
    """The objects that the routes of one application share."""

    scholar: ServedScholar
    batcher: Batcher[bytes, tuple[Prediction, int]]
    jobs: JobQueue
    uploads: ActiveUploads


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the batcher and the job queue while the server runs."""
    state: _State = app.state.studio
    await asyncio.to_thread(remove_stale_uploads)
    loops = [asyncio.create_task(run) for run in (state.batcher.run(), state.jobs.run(), state.jobs.end_watches())]
    yield
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    await state.uploads.wait()


async def _report_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a request with the message of an exception."""
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    detail = str(error)
    if isinstance(error, OSError):
        detail = f"the studio cannot read or write a file: {error.strerror or error}"
    return JSONResponse({"detail": detail}, status)


async def _report_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose query or JSON body is not as it must be: with a sentence, as all others."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or first["loc"][0]
    return JSONResponse({"detail": f"{where}: {first['msg']}"}, 422)


async def _get_state(request: Request) -> _State:
    state: _State = request.app.state.studio
    return state


def _body(description: str, form: bool = True) -> dict[str, Any]:
    """Return the OpenAPI description of a body that is a file, or a form as well."""
    file = {"schema": {"type": "string", "format": "binary", "description": description}}
    content = {"application/octet-stream": file, **({"multipart/form-data": {}} if form else {})}
    return {"requestBody": {"required": True, "content": content}}


class Problem(BaseModel):
    """The response to a request that is refused: why."""

    detail: str


class Guess(BaseModel):
    """A class and its probability."""

    name: str = Field(alias="class")
    probability: float


class Answer(BaseModel):
    """The response of ``/predict``: a `Prediction`, and the generation that made it."""

    guesses: list[Guess]
    unfamiliar: bool | None
    generation: int


class Forgetting(BaseModel):
    """The body of ``/forget``."""

    model_config = {"json_schema_extra": {"examples": [{"classes": ["cat"]}]}}
    classes: Annotated[list[str], Field(max_length=_MAX_CLASSES, description="names of the classes to forget")]


class Renaming(BaseModel):
    """The body of ``/rename``."""

    model_config = {"json_schema_extra": {"examples": [{"old": "cat", "new": "kitten"}]}}
    old: Annotated[str, Field(description="name of a class")]
    new: Annotated[str, Field(max_length=200, description="its new name; of a known class: both become one")]


_routes = APIRouter(responses={422: {"model": Problem, "description": "It is refused, and why"}})
_Shared = Annotated[_State, Depends(_get_state)]


@_routes.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Return the studio's page."""
    return FileResponse(_STATIC / "index.html")


@_routes.get("/docs", include_in_schema=False)
async def docs() -> FileResponse:
    """Return the page that describes the HTTP API."""
    return FileResponse(_STATIC / "docs.html")


@_routes.get("/scholar")
async def describe(state: _Shared) -> dict[str, Any]:
    """Describe the scholar: classes, lineage, backbone and networks; kept generations; ids of unfinished jobs.

    And the endings of the image files that are read here, and the names that folders of parts have, not of classes.
    """
    description = await run_in_threadpool(state.scholar.describe)
    names = {"image_endings": sorted(image_suffixes()), "part_names": sorted(PART_NAMES)}
    return {**description, "jobs": state.jobs.open_jobs(), **names}


@_routes.post("/predict", response_model=Answer, openapi_extra=_body("an image file"))
async def predict(state: _Shared, request: Request, top: Annotated[int, Query(ge=1, le=1000)] = 5) -> dict[str, Any]:
    """Classify an image: the body is an image file, or a form with a file called ``image``."""
    prediction, generation = await state.batcher.submit(await read_image(request))
    return {**replace(prediction, guesses=prediction.guesses[:top]).to_json(), "generation": generation}


@_routes.get("/dreams")
async def dream(
    state: _Shared,
    n: Annotated[int, Query(ge=1, le=_MAX_DREAMS)] = 24,
    seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    of: Annotated[str | None, Query(alias="class")] = None,
) -> dict[str, Any]:
    """Draw dreams: PNGs in data URIs, each with its most probable class. Equal seeds give equal dreams.

    Answers 422 for a scholar with a backbone: its dreams are features, which have no picture.
    """
    return {"dreams": await run_in_threadpool(state.scholar.dream, n, seed, of)}


@_routes.post("/tasks", status_code=202, openapi_extra=_body("a zip file of class folders"))
async def teach(state: _Shared, request: Request, name: Annotated[str, Query(min_length=1, max_length=80)]) -> Job:
    """Teach a task: the body is a zip file with a folder for each class, or a form of files called CLASS/FILE."""
    async with state.uploads.receive() as upload:
        source, note = await receive_images(request, upload.folder, state.scholar.loaded.classes)
        return state.jobs.add(Work("learn", name, str(source)), upload.close, note)


@_routes.post("/merge", status_code=202, openapi_extra=_body("a zip file of a scholar's folder", form=False))
async def merge(state: _Shared, request: Request) -> Job:
    """Merge another scholar into this one, which then knows the classes of both: it learns from the dreams of both.

    The present generation is kept. Answers 422 where both cannot be merged.
    """
    async with state.uploads.receive() as upload:
        other, name = await receive_scholar(request, upload.folder)
        with uploads.called(other, name):
            await run_in_threadpool(state.scholar.check_other, other)
        return state.jobs.add(Work("merge", name, str(other)), upload.close)


@_routes.post("/forget", status_code=202)
async def forget(state: _Shared, body: Forgetting) -> Job:
    """Forget classes: the scholar is taught anew, by its dreams of what stays. The present generation is kept.

    Answers 422 for a class that the scholar does not know.
    """
    check_forget(state.scholar.loaded, body.classes)
    classes = tuple(dict.fromkeys(body.classes))
    return state.jobs.add(Work("forget", shortlist(classes, ", "), classes=classes))


@_routes.post("/rename", status_code=202)
async def rename(state: _Shared, body: Renaming) -> Job:
    """Rename a class. If the scholar knows a class of the new name, both become one, taught anew by its dreams.

    The present generation is kept. Answers 422 for a class that the scholar does not know.
    """
    check_rename(state.scholar.loaded, body.old, body.new)
    return state.jobs.add(Work("rename", f"{body.old} to {body.new}", classes=(body.old, body.new)))


@_routes.get("/jobs/{identity}")
async def get_job(state: _Shared, request: Request, identity: str) -> Any:
    """Return a job; with ``Accept: text/event-stream`` as server-sent events until it has finished."""
    job = state.jobs.get(identity)
    if job is None:
        raise HTTPException(404, "there is no job with this id; the studio may have been restarted")
    if "text/event-stream" not in request.headers.get("accept", ""):
        return asdict(job)
    events = (f"data: {json.dumps(found)}\n\n" async for found in state.jobs.watch(job))
    return StreamingResponse(events, media_type="text/event-stream")


@_routes.post("/generations/{key}")
async def restore_generation(state: _Shared, key: str) -> dict[str, Any]:
    """Let another kept generation answer and learn from now on. The present one is kept."""
    if state.jobs.open_jobs():
        raise HTTPException(409, "a job is not done yet: change the generation when it is")
    await run_in_threadpool(state.scholar.restore, key)
    return await run_in_threadpool(state.scholar.describe)
