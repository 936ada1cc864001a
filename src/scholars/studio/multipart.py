"""Write the files of a multipart form to disk while the form arrives.

Starlette's parser keeps every file of a form open until the form ends: a folder of photos has more files than a process
may open.
"""

from collections.abc import AsyncIterator
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from scholars.errors import InputError
from scholars.studio.uploads import UploadWriter


async def parse_multipart(content_type: str, body: AsyncIterator[bytes], writer: UploadWriter) -> None:
    """Pass the files of a form to ``writer``. Raises InputError for a malformed or incomplete form."""
    boundary = parse_options_header(content_type.encode("latin-1"))[1].get(b"boundary", b"")
    if not boundary:
        raise InputError("the form has no boundary in its Content-Type")
    parts = _PartWriter(writer)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin_part,
                "on_header_field": parts.add_to_header_name,
                "on_header_value": parts.add_to_header_value,
                "on_header_end": parts.end_header,
                "on_headers_finished": parts.open,
                "on_part_data": parts.write,
                "on_part_end": parts.close,
                "on_end": parts.end_form,
            },
        )
        async for data in body:
            await run_in_threadpool(parser.write, data)
    except FormParserError as error:
        raise InputError(f"the form cannot be read: {error}") from None
    finally:
        parts.close()
    if not parts.complete:
        raise InputError("the form is incomplete: it has no end")


class _PartWriter:
    """The parser's callbacks: writes the part that is being parsed, if it is a file."""

    def __init__(self, writer: UploadWriter) -> None:
        self._target = writer
        self._file: BinaryIO | None = None
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self.complete = False

    def begin_part(self) -> None:
        self._headers = {}

    def add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def open(self) -> None:
        name = parse_options_header(self._headers.get(b"content-disposition", b""))[1].get(b"filename", b"")
        self._file = self._target.open(name.decode(errors="replace")) if name else None

    def write(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._target.write(self._file, data[start:end])

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    def end_form(self) -> None:
        self.complete = True
