"""Read request bodies: an image to classify, the images of a task, another scholar."""

from collections.abc import Collection
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from scholars.errors import InputError
from scholars.studio import uploads
from scholars.studio.multipart import parse_multipart
from scholars.studio.scholar_archive import unpack_scholar


async def read_image(request: Request) -> bytes:
    """Return the image file that was sent. Raises InputError for a form without one."""
    if not _is_form(request):
        return await request.body()
    async with request.form(max_files=1) as form:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise InputError("the form has no file called image")
        return await image.read()


async def receive_images(request: Request, folder: Path, classes: Collection[str]) -> tuple[Path, str | None]:
    """Write the images that were sent below ``folder``; return their folder or archive and a note for the user.

    classes: those that the scholar knows
    """
    if _is_form(request):
        writer = uploads.UploadWriter(folder / "images")
        await parse_multipart(request.headers["content-type"], request.stream(), writer)
        return await run_in_threadpool(writer.find_root, classes)
    archive = await _write_body(request, folder)
    await run_in_threadpool(uploads.check_archive, archive, classes)
    return archive, None


async def receive_scholar(request: Request, folder: Path) -> tuple[Path, str]:
    """Unpack the archive of a scholar that was sent below ``folder``; return where the scholar is, and its name."""
    if _is_form(request):
        raise InputError("send the zip file itself as the body, and no form")
    archive, scholar = await _write_body(request, folder), folder / "scholar"
    name = await run_in_threadpool(unpack_scholar, archive, scholar)
    archive.unlink()
    return scholar, name


async def _write_body(request: Request, folder: Path) -> Path:
    """Write the body below ``folder`` while it arrives; return the file."""
    archive = folder / "archive.zip"
    with archive.open("wb") as file:
        async for data in request.stream():
            file.write(data)
    return archive


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")
