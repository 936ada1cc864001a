"""Image files of all formats, modes and sizes, and those that cannot be read."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scholars.errors import InputError
from scholars.tasks import decoding, image_formats
from scholars.tasks.image_formats import image_suffixes
from scholars.tasks.open import open_task
from scholars.tasks.resize import resize_images
from scholars.tasks.squares import as_square

from .image_folders import fill, put

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8))


def only_picture(folder: Path, size: int | None = None) -> np.ndarray:
    """The pixels of ``x/picture.*``, the only image of the train part."""
    task = open_task(folder, size=size)
    assert len(task.train) == 1
    picture: np.ndarray = task.train.images[0]
    return picture


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with a test part, whose train part is to get its picture."""
    put(tmp_path / "test" / "x" / "0.png", size=64)
    (tmp_path / "train" / "x").mkdir(parents=True)
    return tmp_path


# Sizes


def test_the_smallest_shorter_side_is_the_size_of_all(tmp_path: Path) -> None:
    for number, size in enumerate([(30, 50), (12, 9), (40, 40)]):
        put(tmp_path / "a" / f"{number}.png", Image.new("L", size, number))
    task = open_task(tmp_path)
    assert task.train.images.shape[1:] == task.test.images.shape[1:] == (1, 9, 9)


def test_the_size_is_at_most_64_unless_asked_for(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path / "a" / f"{number}.png", number, size=100)
    assert open_task(tmp_path).train.images.shape[2:] == (64, 64)
    assert open_task(tmp_path, size=90).train.images.shape[2:] == (90, 90)
    assert open_task(tmp_path, size=128).train.images.shape[2:] == (128, 128)


def test_images_of_the_size_are_not_touched(alone: Path) -> None:
    put(alone / "train" / "x" / "picture.png", NOISE.crop((0, 0, 20, 20)))
    assert np.array_equal(only_picture(alone), np.asarray(NOISE)[:, :20].transpose(2, 0, 1))


def test_the_longer_side_is_cropped_around_the_centre(alone: Path) -> None:
    wide = NOISE.crop((0, 0, 28, 20))
    put(alone / "train" / "x" / "picture.png", wide)
    expected = resize_images(np.asarray(wide).transpose(2, 0, 1)[np.newaxis], 3, 10)[0]
    assert np.abs(only_picture(alone, 10).astype(int) - expected).max() <= 1  # the same as resizing a task


# Formats and modes


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"])
def test_formats(alone: Path, ending: str) -> None:
    picture = np.full((16, 16, 3), (200, 60, 20), dtype=np.uint8)
    put(alone / "train" / "x" / f"picture.{ending}", Image.fromarray(picture))
    decoded = only_picture(alone)
    assert decoded.shape == (3, 16, 16)
    assert np.abs(decoded.astype(int) - picture.transpose(2, 0, 1)).max() <= 8


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif"])
def test_grey_is_grey_however_it_is_saved(alone: Path, ending: str) -> None:
    ramp = np.repeat(np.arange(0, 256, 16, dtype=np.uint8)[:, np.newaxis], 16, axis=1)
    put(alone / "train" / "x" / f"picture.{ending}", Image.fromarray(ramp).convert("RGB"))
    decoded = only_picture(alone)
    assert decoded.shape == (1, 16, 16)
    assert np.abs(decoded[0].astype(int) - ramp).max() <= 8


def test_one_image_with_colour_makes_all_rgb(tmp_path: Path) -> None:
    fill(tmp_path)
    put(tmp_path / "a" / "colour.png", Image.new("RGB", (8, 8), (250, 0, 0)))
    task = open_task(tmp_path)
    assert task.train.images.shape[1] == task.test.images.shape[1] == 3
    everything = np.concatenate([task.train.images, task.test.images])
    assert sum(bool((image == image[0]).all()) for image in everything) == 6


def moving(mode: str) -> bytes:
    """A GIF that is dark first and light then."""
    frames = [Image.new(mode, (8, 8), level) for level in ("#101010", "#f0f0f0")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_of_a_moving_picture_the_first_frame(alone: Path) -> None:
    (alone / "train" / "x" / "picture.gif").write_bytes(moving("RGB"))
    assert (only_picture(alone) == 16).all()


WIDE = np.array([[0, 257], [32768, 65535]], dtype=np.uint16)
EIGHT = np.array([[0, 1], [128, 255]])
HALF_CLEAR = np.array([[[0, 0], [0, 255]], [[100, 255], [0, 128]]], dtype=np.uint8)
OVER_WHITE = np.array([[255, 0], [100, 127]])


def palette(transparent: bool) -> Image.Image:
    """Places 0..3 of a palette: black, 1, 128, white; black may be transparent."""
    image = Image.new("P", (2, 2))
    image.putdata([0, 1, 2, 3])
    image.putpalette([0, 0, 0, 1, 1, 1, 128, 128, 128, 255, 255, 255])
    if transparent:
        image.info["transparency"] = 0
    return image


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("L.png", Image.fromarray(EIGHT.astype(np.uint8)), EIGHT),
        ("1.png", Image.fromarray(np.array([[True, False], [False, True]])), np.array([[255, 0], [0, 255]])),
        ("LA.png", Image.fromarray(HALF_CLEAR), OVER_WHITE),
        ("RGBA.png", Image.fromarray(HALF_CLEAR).convert("RGBA"), OVER_WHITE),
        ("P.png", palette(False), EIGHT),
        ("P-clear.png", palette(True), np.array([[255, 1], [128, 255]])),
        ("CMYK.tiff", Image.fromarray(EIGHT.astype(np.uint8)).convert("RGB").convert("CMYK"), EIGHT),
        ("I16.png", Image.fromarray(WIDE), EIGHT),
        ("I16.tiff", Image.fromarray(WIDE), EIGHT),
        ("I.tiff", Image.fromarray(WIDE.astype(np.int32)), EIGHT),
        ("F1.tiff", Image.fromarray((EIGHT / 255).astype(np.float32)), EIGHT),
        ("F255.tiff", Image.fromarray(EIGHT.astype(np.float32)), EIGHT),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_modes(alone: Path, name: str, image: Image.Image, expected: np.ndarray) -> None:
    image.save(alone / "train" / "x" / name)
    decoded = only_picture(alone)
    assert decoded.shape == (1, 2, 2)
    assert decoded[0].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([[0, 70_000]], dtype=np.int32), "has values of 0 to 70000, not 16 bits"),
        (np.array([[-1, 5]], dtype=np.int32), "has values of -1 to 5"),
        (np.array([[0, 256]], dtype=np.float32), r"neither 0\.\.1 nor 0\.\.255"),
        (np.array([[0, np.nan]], dtype=np.float32), r"neither 0\.\.1 nor 0\.\.255"),
    ],
)
def test_values_of_an_unknown_range_are_refused(alone: Path, values: np.ndarray, said: str) -> None:
    Image.fromarray(values).save(alone / "train" / "x" / "picture.tiff")
    with pytest.raises(InputError, match=said):
        open_task(alone)


def test_rotation_of_a_camera_is_applied(alone: Path) -> None:
    upright = np.zeros((16, 16), dtype=np.uint8)
    upright[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it upright
    stored = Image.fromarray(np.rot90(upright))
    stored.save(alone / "train" / "x" / "picture.jpg", exif=exif, quality=95)
    assert np.abs(only_picture(alone)[0].astype(int) - upright).max() <= 8


# Files that cannot be read


def encoded(form: str) -> bytes:
    file = io.BytesIO()
    NOISE.save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_cut_off_files_are_refused(alone: Path, form: str) -> None:
    whole = encoded(form)
    for length in (3, len(whole) // 2, len(whole) * 9 // 10):
        (alone / "train" / "x" / f"picture.{form.lower()}").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"1 of 2 images cannot be read(.|\n)*train/x/picture\.") as caught:
            open_task(alone)
        assert "BytesIO" not in str(caught.value)


def test_all_unreadable_files_are_listed_at_once(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a" / "empty.png").touch()
    (tmp_path / "a" / "page.jpg").write_text("<html>not found</html>")
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "b" / "nothing.png")
    (tmp_path / "b" / "drawing.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    with pytest.raises(InputError, match="4 of 10 images cannot be read") as caught:
        open_task(tmp_path)
    for said in (
        "a/empty.png: is empty",
        "a/page.jpg: is no image",
        "b/gone.png: is a link",
        "b/drawing.png: is no",
    ):
        assert said in str(caught.value)


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    fill(tmp_path)
    for number in range(25):
        (tmp_path / "a" / f"bad-{number}.png").touch()
    with pytest.raises(InputError, match="25 of 31 images") as caught:
        open_task(tmp_path)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[1].strip(), lines[-1]) == (22, "a/bad-0.png: is empty", "and 5 more")


@pytest.mark.parametrize("limit", [299, 599])
def test_decompression_bombs_are_refused(alone: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """600 pixels: more than the limit, which Pillow only warns of, or more than twice the limit."""
    put(alone / "train" / "x" / "picture.png", NOISE)
    put(alone / "test" / "x" / "0.png", size=4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match="decompression bomb"):
        open_task(alone)


def test_nothing_is_printed_or_warned(alone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (alone / "train" / "x" / "picture.jpg").write_bytes(encoded("JPEG")[:500])
    with warnings.catch_warnings(record=True) as caught, pytest.raises(InputError):
        warnings.simplefilter("always")
        open_task(alone)
    assert caught == []
    assert capfd.readouterr() == ("", "")


# Large JPEGs


def jpeg(width: int, height: int, colour: bool = True) -> bytes:
    """A smooth picture: a ramp from left to right, red at the top."""
    x = np.linspace(0, 255, width)[None].repeat(height, 0)
    y = np.linspace(255, 0, height)[:, None].repeat(width, 1)
    pixels = np.stack([y, x, np.full_like(x, 90)], axis=2).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels if colour else pixels[..., 1]).save(content, "JPEG", quality=95)
    return content.getvalue()


@pytest.mark.parametrize(
    ("size", "least", "decoded"),
    [
        ((1600, 800), 100, (200, 100)),
        ((1600, 800), 101, (400, 200)),
        ((1600, 800), 500, (1600, 800)),
        ((1600, 800), None, (1600, 800)),
        ((90, 60), 100, (90, 60)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_fraction(
    size: tuple[int, int], least: int | None, decoded: tuple[int, int]
) -> None:
    picture = decoding.open_upright(jpeg(*size), least)
    assert picture.size == decoded
    whole = decoding.open_upright(jpeg(*size))
    close = np.asarray(picture.resize((30, 30)), np.int16) - np.asarray(whole.resize((30, 30)), np.int16)
    assert np.abs(close).max() <= 4


@pytest.mark.parametrize("colour", [True, False])
def test_squares_of_large_jpegs_look_as_by_all_pixels(colour: bool) -> None:
    content = jpeg(900, 700, colour)
    (found,) = decoding.decode_squares(lambda _: content, ["x"], 32, "crop")
    expected = as_square(decoding.open_upright(content), 32, "crop")
    assert not isinstance(found, str)
    assert found.shape == expected.shape == ((3 if colour else 1), 32, 32)
    assert np.abs(found.astype(np.int16) - expected).max() <= 4


def test_a_panorama_is_no_bomb_and_a_bomb_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's limit is that of what is decoded; a JPEG may be larger before."""
    content = jpeg(1600, 800)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200_000)
    assert decoding.open_upright(content, 100).size == (200, 100)
    (header,) = decoding.read_headers(lambda _: content, ["x"])
    assert not isinstance(header, str)
    assert header.side == 800
    with pytest.raises(Image.DecompressionBombError, match=r"has 1,600 x 800 pixels, more than 200,000"):
        decoding.open_upright(content)
    monkeypatch.setattr(decoding, "_MAX_JPEG_PIXELS", 1_000_000)
    for found in (
        decoding.read_headers(lambda _: content, ["x"]),
        decoding.decode_squares(lambda _: content, ["x"], 8, "crop"),
    ):
        assert found == ["has 1,600 x 800 pixels, more than 1,000,000"]


def test_jfif_and_avif_are_read(alone: Path) -> None:
    NOISE.save(alone / "train" / "x" / "a.jfif", "JPEG")
    count = 1
    if ".avif" in image_suffixes():
        NOISE.save(alone / "train" / "x" / "b.avif", quality=90)
        count = 2
    task = open_task(alone)
    assert (len(task.train), task.skipped) == (count, ())


def test_heic_is_read_with_its_package_and_named_without(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    NOISE.save(alone / "train" / "x" / "0.png")
    (alone / "train" / "x" / "IMG_1.HEIC").write_bytes(b"ftypheic")
    for cached in (image_formats.image_formats, image_formats.image_suffixes):
        cached.cache_clear()
    monkeypatch.setattr(image_formats, "find_spec", lambda name: None)
    try:
        (left,) = open_task(alone).skipped
    finally:
        for cached in (image_formats.image_formats, image_formats.image_suffixes):
            cached.cache_clear()
    assert left.ending == ".heic"
    assert "pip install '.[heic]'" in left.reason


# Damage


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Two classes, among them a truncated, an empty and an HTML file."""
    for name in "ab":
        for number in range(6):
            put(tmp_path / name / f"{number}.jpg", NOISE.rotate(30 * number + ord(name)).resize((90, 60)))
    whole = (tmp_path / "a" / "0.jpg").read_bytes()
    (tmp_path / "a" / "0.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a" / "1.jpg").write_bytes(b"")
    (tmp_path / "b" / "2.jpg").write_text("<html>gone</html>")
    return tmp_path


@pytest.mark.parametrize("decode", [True, False])
def test_all_files_that_cannot_be_read_are_in_one_list(damaged: Path, decode: bool) -> None:
    with pytest.raises(InputError, match=r"3 of 12 images cannot be read") as caught:
        open_task(damaged, decode=decode)
    lines = str(caught.value).splitlines()[1:]
    assert sorted(line.split(":")[0].strip() for line in lines) == ["a/0.jpg", "a/1.jpg", "b/2.jpg"]


@pytest.mark.parametrize("decode", [True, False])
def test_files_that_cannot_be_read_can_be_skipped(damaged: Path, decode: bool) -> None:
    task = open_task(damaged, decode=decode, skip_unreadable=True)
    assert len(task.train) + len(task.test) == 9
    assert [(each.ending, each.reason) for each in task.skipped] == [(".jpg", "cannot be read")] * 3


def test_a_truncated_file_alone_is_found_when_files_are_skipped(damaged: Path) -> None:
    """Its header is whole."""
    for name in ("a/1.jpg", "b/2.jpg"):
        (damaged / name).unlink()
    (left,) = open_task(damaged, decode=False, skip_unreadable=True).skipped
    assert left.file == "a/0.jpg"


def test_a_class_of_unreadable_files_is_refused(damaged: Path) -> None:
    for number in range(6):
        (damaged / "b" / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="no image of class 'b' can be read"):
        open_task(damaged, skip_unreadable=True)


def test_heic_as_phones_write_it(alone: Path) -> None:
    pytest.importorskip("pillow_heif")
    smooth = Image.open(io.BytesIO(jpeg(90, 60)))
    smooth.save(alone / "train" / "x" / "IMG_1.HEIC", format="HEIF", quality=95)
    task = open_task(alone)
    assert (len(task.train), task.skipped) == (1, ())
    assert np.abs(task.train.images[0].astype(np.int16) - as_square(smooth, 60, "crop")).max() < 12
