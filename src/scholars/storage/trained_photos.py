"""Remember which photos a task was trained on, so that none of them is scored as if it were new.

Of each photo six bytes of a keyed digest of its file are kept, class by class, each sorted: some two of a million
photos have the same ones with a probability of 1 in 600. Whoever has a photo and the scholar can tell by them whether
it was trained on (docs/threat-model.md).
"""

import base64
import hashlib

import numpy as np
import numpy.typing as npt

# Base64 of six bytes has eight characters, and no padding.
_BYTES, CHARACTERS = 6, 8


def encode_trained(digests: npt.NDArray[np.uint8], about: str) -> str:
    """Return what is kept of photos: eight characters of base64 for each.

    digests: ``[N, 32]`` uint8, SHA-256 of each
    about: what the digests are keyed with: those of one task are of no use for another
    """
    return base64.b64encode(b"".join(sorted(_keyed(digests, about)))).decode()


def find_trained(kept: str, digests: npt.NDArray[np.uint8], about: str) -> npt.NDArray[np.bool_]:
    """Return ``[N]``, which photos are among those that ``kept`` is of, with the arguments of `encode_trained`."""
    content = base64.b64decode(kept)
    known = {content[start : start + _BYTES] for start in range(0, len(content), _BYTES)}
    if not known:
        return np.zeros(len(digests), np.bool_)
    return np.array([photo in known for photo in _keyed(digests, about)], np.bool_)


def _keyed(digests: npt.NDArray[np.uint8], about: str) -> list[bytes]:
    key = hashlib.sha256(about.encode()).digest()
    return [hashlib.blake2b(row.tobytes(), digest_size=_BYTES, key=key).digest() for row in digests]
