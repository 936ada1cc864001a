"""Names of folders for classes, which every system takes, and back.

A name stays as it is where it can. A character that some system does not take is written as in web addresses, ``%`` and
two hexadecimal digits for each byte of its UTF-8: ``a/b`` as ``a%2Fb``.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from urllib.parse import unquote

from scholars.errors import InputError, printable

# What Windows or others do not take in a name, and the sign of all this. A dot first hides a folder; Windows drops dots
# and spaces at the end.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*%]|\A\.|[. ]\Z')
# Further, what some systems take for another: capitals, letters with accents.
_MISTAKABLE = re.compile(rf"{_UNSAFE.pattern}|[^a-z0-9 ._-]")
# Names of Windows' devices, also with an ending: the first letter is then written so.
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|\Z)", re.IGNORECASE)
# Bytes of a name that file systems take.
_MAX_BYTES = 255


def class_folder_names(classes: Sequence[str]) -> list[str]:
    """Return the name of each class's folder; they differ on systems that take ``Cat`` and ``cat`` for one, too.

    Raises InputError for a name that is empty or too long.
    """
    names = [_encode(name, _UNSAFE) for name in classes]
    counts = Counter(map(_fold, names))
    names = [
        _encode(name, _MISTAKABLE) if counts[_fold(folder)] > 1 else folder
        for name, folder in zip(classes, names, strict=True)
    ]
    for name, folder in zip(classes, names, strict=True):
        if not 0 < len(folder.encode()) <= _MAX_BYTES:
            raise InputError(f"the class name {name[:100]!r} is empty or too long for a folder; `scholars rename` it")
    return names


def class_of_folder(folder: str) -> str:
    """Return the name of the class whose folder is called so by `class_folder_names`; any other name as it is."""
    try:
        name = unquote(folder, errors="strict")
        written = name != folder and folder in (_encode(name, _UNSAFE), _encode(name, _MISTAKABLE))
    except UnicodeError:
        return folder
    return name if written and printable(name) else folder


def _encode(name: str, unsafe: re.Pattern[str]) -> str:
    encoded = unsafe.sub(lambda found: _escape(found[0]), name)
    return _escape(encoded[0]) + encoded[1:] if _DEVICE.match(encoded) else encoded


def _escape(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
