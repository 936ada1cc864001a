"""A form of many files, written to disk as it comes.

Starlette's own reader holds every file of a form open until the last one is there: more than a process may, of a folder
of photos.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from scholars.errors import InputError
from scholars.serve.uploads import Intake


async def take_in(content_type: str, pieces: AsyncIterator[bytes], intake: Intake) -> None:
    """Write the files of a form where ``intake`` wants them. Raises InputError for what is no such form."""
    boundary = parse_options_header(content_type.encode("latin-1"))[1].get(b"boundary", b"")
    if not boundary:
        raise InputError("the form says no boundary")
    parts = _Parts(intake)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.field,
                "on_header_value": parts.value,
                "on_header_end": parts.header,
                "on_headers_finished": parts.open,
                "on_part_data": parts.write,
                "on_part_end": parts.close,
                "on_end": parts.end,
            },
        )
        async for piece in pieces:
            await run_in_threadpool(parser.write, piece)
    except FormParserError as error:
        raise InputError(f"the form cannot be read: {error}") from None
    finally:
        parts.close()
    if not parts.ended:
        raise InputError("the form breaks off")


class _Parts:
    """What the parser of a form calls, part by part."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._file: BinaryIO | None = None
        self._headers: dict[bytes, bytes] = {}
        self._name = self._words = b""
        self.ended = False

    def begin(self) -> None:
        self._headers = {}

    def field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._words += data[start:end]

    def header(self) -> None:
        self._headers[self._name.lower()] = self._words
        self._name = self._words = b""

    def open(self) -> None:
        said = parse_options_header(self._headers.get(b"content-disposition", b""))[1].get(b"filename", b"")
        target = self._intake.place(said.decode(errors="replace")) if said else None
        self._file = self._intake.begin(target) if target else None

    def write(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._intake.add(self._file, data[start:end])

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    def end(self) -> None:
        self.ended = True
