"""Choose the network of a generator, where its settings leave that open."""

from typing import Literal, NamedTuple

from scholars.errors import InputError
from scholars.settings import AdversarialSettings, FlowSettings, R3GANSettings, VAESettings

# What ``generator.width`` is by default: channels of a network of images, units of a perceptron.
IMAGE_WIDTH, R3GAN_WIDTH, MLP_WIDTH = 32, 16, 512


class Network(NamedTuple):
    """Which network a generator has, and how wide it is.

    name: unet, conv or mlp
    width: channels at the finest level of a unet or conv, units of a layer of an mlp
    """

    name: Literal["unet", "conv", "mlp"]
    width: int


def network_for(settings: FlowSettings | VAESettings | AdversarialSettings, size: int) -> Network:
    """Return the network of ``settings`` for images of ``size`` pixels a side; 1: features of a backbone.

    Raises InputError for a network of images where there are features.
    """
    name = settings.net
    if name == "auto":
        for_images: Literal["unet", "conv"] = "unet" if isinstance(settings, FlowSettings) else "conv"
        name = "mlp" if size == 1 else for_images
    if name != "mlp" and size == 1:
        raise InputError(
            f"generator.net={name} draws images, not features of a backbone: set generator.net=mlp, or auto"
        )
    of_images = R3GAN_WIDTH if isinstance(settings, R3GANSettings) else IMAGE_WIDTH
    return Network(name, settings.width or (MLP_WIDTH if name == "mlp" else of_images))
