"""Folders of classes: names that every system takes, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scholars.errors import InputError, printable
from scholars.storage.class_folders import class_folder_names, class_of_folder

WRITTEN = {
    "cat": "cat",
    "Zoë 2": "Zoë 2",
    "a/b": "a%2Fb",
    "..": "%2E%2E",
    ".hidden": "%2Ehidden",
    "v1.5": "v1.5",
    "end.": "end%2E",
    "end ": "end%20",
    "100 %": "100 %25",
    'a<b>c:d"e\\f|g?h*': "a%3Cb%3Ec%3Ad%22e%5Cf%7Cg%3Fh%2A",
    "CON": "%43ON",
    "nul": "%6Eul",
    "com1": "%63om1",
    "LPT9.txt": "%4CPT9.txt",
    "aux .x": "%61ux .x",
    "COM\u00b9": "%43OM\u00b9",
    "console": "console",
    "com10": "com10",
}


@pytest.mark.parametrize(("name", "folder"), WRITTEN.items())
def test_what_a_class_s_folder_is_called(name: str, folder: str) -> None:
    assert class_folder_names([name]) == [folder]
    assert class_of_folder(folder) == name


def test_classes_that_some_systems_take_for_one() -> None:
    """Windows and macOS do not tell capitals apart, and macOS no two ways to write an accent."""
    names = ["Cat", "cat", "CAT", "dog", "Zo\u00eb", "Zoe\u0308"]
    assert class_folder_names(names) == ["%43at", "cat", "%43%41%54", "dog", "%5Ao%C3%AB", "%5Aoe%CC%88"]


@given(
    st.lists(st.text(max_size=6) | st.sampled_from(["CON", "con", "Con", "a/b", "A/b", "%43at", "cat"]), unique=True)
)
def test_they_differ_are_safe_and_come_back(names: list[str]) -> None:
    names = [name for name in names if name and name.isprintable()]
    folders = class_folder_names(names)
    assert len({folder.casefold() for folder in folders}) == len(names)
    for name, folder in zip(names, folders, strict=True):
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^\.', folder)
        if printable(name):
            assert class_of_folder(folder) == name


@pytest.mark.parametrize("folder", ["50%", "my%20cat", "%63at", "%", "%FF", "a%2fb", "a%0Ab", "%2"])
def test_other_names_are_what_they_are(folder: str) -> None:
    assert class_of_folder(folder) == folder


@pytest.mark.parametrize("name", ["", "x" * 300])
def test_names_that_no_folder_can_have(name: str) -> None:
    with pytest.raises(InputError, match="is empty or too long for a folder"):
        class_folder_names([name])
