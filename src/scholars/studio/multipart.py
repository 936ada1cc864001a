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
from scholars.studio.uploads import UploadExtractor


async def parse_multipart(content_type: str, body: AsyncIterator[bytes], extractor: UploadExtractor) -> None:
    """Pass the files of a form to ``extractor``. Raises InputError for a malformed or incomplete form."""
    boundary = parse_options_header(content_type.encode("latin-1"))[1].get(b"boundary", b"")
    if not boundary:
        raise InputError("the form has no boundary in its Content-Type")
    writer = _PartWriter(extractor)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": writer.begin_part,
                "on_header_field": writer.add_to_header_name,
                "on_header_value": writer.add_to_header_value,
                "on_header_end": writer.end_header,
                "on_headers_finished": writer.open,
                "on_part_data": writer.write,
                "on_part_end": writer.close,
                "on_end": writer.end_form,
            },
        )
        async for data in body:
            await run_in_threadpool(parser.write, data)
    except FormParserError as error:
        raise InputError(f"the form cannot be read: {error}") from None
    finally:
        writer.close()
    if not writer.complete:
        raise InputError("the form is incomplete: it has no end")


class _PartWriter:
    """The parser's callbacks: writes the part that is being parsed, if it is a file."""

    def __init__(self, extractor: UploadExtractor) -> None:
        self._extractor = extractor
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
        self._file = self._extractor.open(name.decode(errors="replace")) if name else None

    def write(self, data: bytes, start: int, end: int) -> None:
        if self._file:
            self._extractor.write(self._file, data[start:end])

    def close(self) -> None:
        if self._file:
            self._file.close()
        self._file = None

    def end_form(self) -> None:
        self.complete = True
