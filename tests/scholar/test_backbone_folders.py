"""A scholar's folder that says something else of its backbone than the weights do is refused, in words."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from photographs import arrays, photograph, quick

from scholars.backbones import engines
from scholars.backbones.networks import digest_weights
from scholars.errors import InputError
from scholars.learning.algorithm import learn
from scholars.scholar import Scholar
from scholars.storage.files import read_tensors, write_tensors


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scholars") / "a"
    learn(arrays(("box", "disc"), 3), settings=quick("ncm", ood__dreams=0)).save(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    Scholar.load(saved).save(tmp_path / "b")
    return tmp_path / "b"


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "scholar.json").read_text())
    return found


def describe(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    found = document(folder)
    change(found)
    (folder / "scholar.json").write_text(json.dumps(found))


def of_record(folder: Path, **values: Any) -> None:
    describe(folder, lambda found: found["backbone"].update(values))


def put_weights(folder: Path, weights: dict[str, torch.Tensor], *, consistent: bool) -> None:
    """Replace the backbone's weights; ``consistent``: the record says that they are the right ones."""
    file = folder / "backbone.safetensors"
    file.unlink()  # a link to that of another scholar
    write_tensors(file, weights)

    def change(found: dict[str, Any]) -> None:
        found["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        if consistent:
            found["backbone"]["sha256"] = digest_weights(weights)

    describe(folder, change)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return read_tensors(folder / "backbone.safetensors")[0]


def test_another_digest(folder: Path) -> None:
    of_record(folder, sha256="0" * 64)
    with pytest.raises(InputError, match="not the weights of efficientnet-lite0: their SHA-256 differs"):
        Scholar.load(folder)


def test_other_weights(folder: Path) -> None:
    weights = weights_of(folder)
    next(iter(weights.values())).view(-1)[0] += 1
    put_weights(folder, weights, consistent=False)
    with pytest.raises(InputError, match="their SHA-256 differs"):
        Scholar.load(folder)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_weights_of_another_type(folder: Path, kind: torch.dtype) -> None:
    weights = weights_of(folder)
    name = next(name for name in weights if name.endswith("weight"))
    put_weights(folder, {**weights, name: weights[name].to(kind)}, consistent=False)
    with pytest.raises(InputError, match="their SHA-256 differs"):
        Scholar.load(folder)


def predict(folder: Path) -> None:
    Scholar.load(folder).predict([photograph("box", 1)])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: {**weights, "surplus": torch.zeros(3)}, "do not fit the description, first at 'surplus'"),
        (lambda weights: dict(list(weights.items())[1:]), "do not fit the description"),
        (lambda weights: {name: value.double() for name, value in weights.items()}, "do not fit the description"),
        (lambda weights: {name: value * float("nan") for name, value in weights.items() if "num" not in name}, "fit"),
    ],
)
def test_weights_that_do_not_fit_the_network(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], said: str, tmp_path: Path
) -> None:
    put_weights(folder, change(weights_of(folder)), consistent=True)
    with pytest.raises(InputError, match=said):
        predict_without_graph(folder, tmp_path)


def predict_without_graph(folder: Path, cache: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCHOLARS_CACHE", str(cache / "none"))
        predict(folder)


@pytest.mark.parametrize("architecture", ["resnet18", "tf_efficientnet_b7"])
def test_another_network(folder: Path, architecture: str) -> None:
    of_record(folder, architecture=architecture)
    with pytest.raises(InputError, match="do not fit the description"):
        predict(folder)


def test_a_network_that_timm_does_not_have(folder: Path) -> None:
    of_record(folder, architecture="no_such_network")
    with pytest.raises(InputError, match="has no network 'no_such_network'"):
        predict(folder)


@pytest.mark.parametrize("architecture", ["../evil", "hf-hub:a/b", "os.system", ""])
def test_an_architecture_is_a_name(folder: Path, architecture: str) -> None:
    of_record(folder, architecture=architecture)
    with pytest.raises(InputError, match=r"backbone\.architecture"):
        Scholar.load(folder)


def test_a_giant_network_is_refused_before_it_takes_memory(folder: Path) -> None:
    """One of 6 billion bytes."""
    of_record(folder, architecture="vit_giant_patch14_reg4_dinov2")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"do not fit the description|cannot look at images of 64 pixels"):
        predict(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_another_size_than_the_images(folder: Path) -> None:
    of_record(folder, size=96)
    with pytest.raises(InputError, match="image is not what the backbone looks at"):
        Scholar.load(folder)


@pytest.mark.parametrize("size", [0, -64, 10**9])
def test_sizes_out_of_range(folder: Path, size: int) -> None:
    of_record(folder, size=size)
    with pytest.raises(InputError, match=r"backbone\.size"):
        Scholar.load(folder)


def test_another_number_of_features_than_the_solver_takes(folder: Path) -> None:
    of_record(folder, features=1000)
    with pytest.raises(InputError, match="do not fit the description"):
        Scholar.load(folder)


def test_a_number_of_features_that_the_network_does_not_give(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else agrees with it."""
    monkeypatch.setattr(engines, "_export", lambda encoder, size: None)  # PyTorch runs it: to export takes seconds
    of_record(folder, features=1000)
    changed = {"solver": (("mean", 0), ("scale", 0), ("last.weight", 1)), "generator": ()}
    for part, cuts in changed.items():
        tensors = read_tensors(folder / f"{part}.safetensors")[0]
        for name, _ in cuts:
            tensors[name] = tensors[name][..., :1000].clone()
        if part == "generator":
            wide = ("mean", "directions", "deviations")
            tensors = {k: v[..., :1000].clone() if k.endswith(wide) else v for k, v in tensors.items()}
        write_tensors(folder / f"{part}.safetensors", tensors)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.safetensors")}
    describe(folder, lambda found: found["sha256"].update(files))
    with pytest.raises(InputError, match=r"its network gives \[1280\] features, not 1000 as its description says"):
        predict(folder)


def test_missing_weights(folder: Path) -> None:
    (folder / "backbone.safetensors").unlink()
    with pytest.raises(InputError, match=r"backbone\.safetensors is missing"):
        Scholar.load(folder)


def test_weights_without_a_description_and_the_other_way_round(folder: Path) -> None:
    describe(folder, lambda found: found["sha256"].pop("backbone.safetensors"))
    with pytest.raises(InputError, match="belong together, and one of them is gone"):
        Scholar.load(folder)


def test_a_lineage_with_a_backbone_and_no_record_of_it(folder: Path) -> None:
    describe(folder, lambda found: found.update(backbone=None))
    with pytest.raises(InputError, match="backbone is not what the settings of the lineage say"):
        Scholar.load(folder)


@pytest.mark.parametrize(("key", "value"), [("mean", [0, float("nan"), 0]), ("std", [1, 0, 1]), ("std", [1, -1, 1])])
def test_numbers_that_no_image_can_be_divided_by(folder: Path, key: str, value: list[float]) -> None:
    of_record(folder, **{key: value})
    with pytest.raises(InputError, match=rf"backbone\.{key}"):
        Scholar.load(folder)
