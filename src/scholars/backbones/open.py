"""Open a backbone by name: the embedded one, timm's, or timm's network with weights from a file."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from scholars.backbones.backbone import Backbone
from scholars.backbones.embedded import open_embedded
from scholars.backbones.networks import Encoder, build_network, digest_weights, probe_images, stride
from scholars.errors import InputError, did_you_mean, one_line
from scholars.settings import EMBEDDED, BackboneSettings, ComputeSettings
from scholars.storage.files import expand_user, read_tensors
from scholars.storage.records import BackboneRecord

# Images on which it is seen whether a network's features are ever negative.
_PROBES = 8
# A machine without a network says so at once.
_SECONDS_TO_CONNECT = 10.0


def open_backbone(settings: BackboneSettings, compute: ComputeSettings | None = None) -> Backbone:
    """Open the backbone that ``settings.name`` names, to look at images of ``settings.size``.

    ``efficientnet-lite0`` comes with this package. Another name is timm's, whose weights are downloaded at the first
    use; ``NAME=FILE`` takes them from a file, ``.safetensors``, or ``.pth`` or ``.bin`` of tensors alone.

    Raises InputError for an unknown name, weights that do not fit, a size that the network cannot look at, and where a
    download is needed and there is no network.
    """
    name, _, file = settings.name.partition("=")
    if name == EMBEDDED and not file:
        record, weights = open_embedded(settings.size)
        _check_size(name, build_network(record.architecture, record.size), record.size)
    else:
        record, weights = _open_timm(name, file, settings.size)
    return Backbone(record, weights, compute or ComputeSettings())


def _open_timm(name: str, file: str, size: int | None) -> tuple[BackboneRecord, dict[str, Tensor]]:
    import timm

    architecture = name.partition(".")[0]
    known = timm.list_models()
    if architecture not in known:
        raise InputError(f"no backbone {name!r}. {_nearest(architecture, [EMBEDDED, *known])}")
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a tag that timm does not know
        tagged = timm.list_pretrained(f"{architecture}.*")
        raise InputError(f"no backbone {name!r}. {did_you_mean(name, tagged)}") from None
    if not file and not (config and config.has_weights):
        raise InputError(f"timm has no weights for {name!r}: give a file of them, --backbone {name}=FILE")
    size = size or (int(config.input_size[-1]) if config else 224)
    network = build_network(architecture, size)
    _check_size(name, network, size)
    weights = _read_weights(network, name, Path(file)) if file else _fetch(network, name, size, config)
    record = BackboneRecord(
        name=name,
        architecture=architecture,
        sha256=digest_weights(weights),
        size=size,
        features=1,
        mean=config.mean if config else (0.485, 0.456, 0.406),
        std=config.std if config else (0.229, 0.224, 0.225),
        interpolation="bilinear" if config and config.interpolation == "bilinear" else "bicubic",
        root=False,
        licence="that of your file" if file else (config and config.license) or "unknown",
    )
    network.load_state_dict(weights)
    try:
        with torch.inference_mode():
            seen = Encoder(network, record).eval()(probe_images(_PROBES, size))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(f"{name} cannot look at images of {size} pixels: {one_line(error)}") from None
    if seen.ndim != 2 or not bool(seen.isfinite().all()):
        raise InputError(f"{name} gives no feature vector of finite numbers: choose another backbone")
    return record.model_copy(update={"features": seen.shape[1], "root": bool((seen >= 0).all())}), weights


def _check_size(name: str, network: torch.nn.Module, size: int) -> None:
    if size % (step := stride(network)):
        raise InputError(f"backbone.size={size}: {name} looks at multiples of {step} pixels")


def _nearest(name: str, known: list[str]) -> str:
    """Name the nearest of timm's thousand and more networks, not all of them."""
    hint = did_you_mean(name, known).partition("Known:")[0]
    return f"{hint}`scholars backbones` lists those at hand; timm's documentation has all"


def _read_weights(network: torch.nn.Module, name: str, file: Path) -> dict[str, Tensor]:
    """Return a file's weights of the network, without those of its classifier."""
    file = expand_user(file)
    if file.suffix == ".safetensors":
        found: Mapping[str, Any] = read_tensors(file)[0]
    else:
        try:
            found = torch.load(file, map_location="cpu", weights_only=True)
        except OSError as error:
            raise InputError(f"--backbone {name}={file}: cannot be read: {error.strerror or error}") from None
        except Exception as error:  # torch raises whatever the damage leads to
            raise InputError(
                f"--backbone {name}={file}: holds more than tensors, or is damaged: {one_line(error)[:200]}"
            ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    expected = network.state_dict()
    for key, value in expected.items():
        given = found.get(key) if isinstance(found, Mapping) else None
        if not isinstance(given, Tensor) or given.shape != value.shape:
            what = f"has shape {list(given.shape)}" if isinstance(given, Tensor) else "is missing"
            raise InputError(
                f"--backbone {name}={file}: these weights do not fit timm's {name}: {key!r} {what}, expected "
                f"{list(value.shape)}"
            )
    return {key: cast(Tensor, found[key]).to(value.dtype) for key, value in expected.items()}


def _fetch(network: torch.nn.Module, name: str, size: int, config: Any) -> dict[str, Tensor]:
    """Return timm's weights, from the cache of the hub or from the network."""
    if (file := downloaded_file(name)) is not None:
        # Those of the hub are timm's own, but for networks of another size or that timm converts.
        with suppress(InputError):
            return _read_weights(network, name, file)
    import timm
    from huggingface_hub import get_session
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

    sized: dict[str, Any] = {"img_size": size} if config.fixed_input_size else {}
    try:
        # Without a network timm's download tries again for a minute, and says so line by line.
        get_session().head(ENDPOINT, timeout=_SECONDS_TO_CONNECT)
        network = timm.create_model(name, pretrained=True, num_classes=0, **sized)
    except (AssertionError, TypeError, ValueError) as error:
        raise InputError(f"{name} cannot look at images of {size} pixels: {one_line(error)}") from None
    except Exception as error:  # the hub's clients raise many kinds where there is no network
        places = f"{HF_HUB_CACHE}, then {config.hf_hub_id or config.url}"
        raise InputError(
            f"the weights of {name} are not at hand and cannot be downloaded (looked in {places}): "
            f"{one_line(error)[:200]}. Without a network: --backbone {EMBEDDED}, which is installed with Scholars, or "
            f"--backbone {name}=FILE"
        ) from None
    return dict(network.state_dict())


def downloaded_file(name: str) -> Path | None:
    """Return the file of timm's weights in the cache of the Hugging Face hub; None if they are not there."""
    import timm
    from huggingface_hub import try_to_load_from_cache

    config: Any = timm.get_pretrained_cfg(name)
    for file in ("model.safetensors", "pytorch_model.bin") if config is not None and config.hf_hub_id else ():
        if isinstance(found := try_to_load_from_cache(config.hf_hub_id, file), str):
            return Path(found)
    return None
