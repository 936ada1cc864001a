"""What readers of image files list."""

from __future__ import annotations

from scholars.tasks.listing import ImageListing, natural_key


def test_a_listing_holds_the_images_of_its_classes_with_those_of_the_test_part_last() -> None:
    train, test = [("0.png", "cat"), ("1.png", "cow"), ("2.png", "dog")], [("3.png", "cow"), ("4.png", "cat")]
    listing = ImageListing.of("pets", "pets.csv", ("dog", "cat"), train, test, read=str.encode)
    assert (listing.keys, listing.labels.tolist(), listing.train_count) == (["0.png", "2.png", "4.png"], [1, 0, 1], 2)
    assert ImageListing.of("pets", "pets.csv", ("cat",), train, None, read=str.encode).train_count is None


def test_numbers_in_names_of_any_length_are_in_order() -> None:
    long = "1" * 5000
    assert sorted([long, "x10", "x9", "007", "8", "x"], key=natural_key) == ["007", "8", long, "x", "x9", "x10"]
