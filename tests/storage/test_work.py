"""One process at a time works in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from scholars.errors import InputError
from scholars.storage.work import exclusive


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc, where not even root can make a file")
def test_where_no_file_can_be_nobody_is_waited_for() -> None:
    with pytest.raises(InputError, match="/proc cannot be written to"), exclusive(Path("/proc/scholar"), "teaching"):
        pass
