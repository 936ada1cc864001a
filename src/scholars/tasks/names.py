"""The data sets that are known by name. No heavy imports: the shell completes these names."""

# Name of the data set -> torchvision's class.
TORCHVISION_CLASSES = {
    "mnist": "MNIST",
    "svhn": "SVHN",
    "usps": "USPS",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "emnist-letters": "EMNIST",
    "cifar10": "CIFAR10",
}
# Made by other packages, or drawn.
NEED_NO_DATA = ("digits", "printed", "street")
NAMES = (*TORCHVISION_CLASSES, *NEED_NO_DATA)
