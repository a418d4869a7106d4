"""Architectures by name: those of the literature, small ones, and a short text form for the command line."""

import re
from collections.abc import Callable
from typing import Any

from matchopt.errors import InvalidInstance, InvalidOption, UnknownName
from matchopt.instances.architecture import Architecture, Convolution, Convolutional, FullyConnected, Recurrent

Image = tuple[int, int, int]
CIFAR: Image = (3, 32, 32)
CROPPED: Image = (3, 24, 24)
MNIST: Image = (1, 28, 28)
_CONVOLUTION = re.compile(r"(\d{1,5})c(\d{1,3})(?:p(\d{1,3}))?(b?)")
_POOL = re.compile(r"([ma])(\d{1,3})(?:s(\d{1,3}))?")


def deep_rewiring_cifar(image: Image = CROPPED, n_classes: int = 10) -> Convolutional:
    """The network DEEP R was tried with on CIFAR-10: 1,067,584 weights on 24 x 24 crops.

    The network of the TensorFlow tutorial `tutorials/image/cifar10/cifar10.py` (tensorflow/models), padding and
    response normalisation included.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein 2018, arXiv 1711.05136, section 4.
    """
    stages = (
        Convolution(64, 5, 2, pool=3, pool_stride=2, normalise="pooled-response", overhang=True),
        Convolution(64, 5, 2, pool=3, pool_stride=2, normalise="response", overhang=True),
    )
    return Convolutional(image, stages, (384, 192), n_classes)


def conv2(image: Image = CIFAR, n_classes: int = 10) -> Convolutional:
    """CONV-2 as the authors of Slot Machines coded it: no padding, 12,544 flat inputs on CIFAR-10.

    References
    ----------
    Aladago and Torresani 2021, arXiv 2101.06475, table 1; code maxwell-aladago/slot-machines.
    """
    return _conv(image, n_classes, (64,), 0)


def conv4(image: Image = CIFAR, n_classes: int = 10) -> Convolutional:
    """CONV-4, see `conv2`: no padding, 3,200 flat inputs on CIFAR-10."""
    return _conv(image, n_classes, (64, 128), 0)


def conv6(image: Image = CIFAR, n_classes: int = 10) -> Convolutional:
    """CONV-6, see `conv2`: only the last two convolutions are padded, 1,024 flat inputs on CIFAR-10."""
    return _conv(image, n_classes, (64, 128, 256), 1)


def vgg19(image: Image = CIFAR, n_classes: int = 10) -> Convolutional:
    """VGG-19 of Slot Machines: batch normalisation without scale and shift, average pool, one fully connected layer.

    References
    ----------
    Aladago and Torresani 2021, arXiv 2101.06475; Simonyan and Zisserman 2015, arXiv 1409.1556, configuration E.
    """
    stages = []
    for block, (filters, count) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))):
        for n in range(count):
            pool = 2 if n == count - 1 else 0
            stages.append(Convolution(filters, 3, 1, pool, normalise="batch", average=block == 4))
    return Convolutional(image, tuple(stages), (), n_classes)


def small_cifar(image: Image = CROPPED, n_classes: int = 10) -> Convolutional:
    """A network of the same plan as `deep_rewiring_cifar` for one CPU core, without response normalisation."""
    stages = (Convolution(16, 5, 2, pool=2), Convolution(32, 5, 2, pool=2))
    return Convolutional(image, stages, (96,), n_classes)


def mnist_cnn(image: Image = MNIST, n_classes: int = 10) -> Convolutional:
    """Two convolutions of 5 x 5 and one hidden layer, after LeNet-5; 20,424 weights on MNIST."""
    return Convolutional(image, (Convolution(8, 5, pool=2), Convolution(16, 5, pool=2)), (64,), n_classes)


NAMED: dict[str, Callable[..., Convolutional]] = {
    "cifar-cnn": deep_rewiring_cifar,
    "small-cifar-cnn": small_cifar,
    "mnist-cnn": mnist_cnn,
    "conv2": conv2,
    "conv4": conv4,
    "conv6": conv6,
    "vgg19": vgg19,
}
FORMS = (*NAMED, "mlp:784-300-100-10", "cnn:8c5-m2-16c5-m2-64-10", "lstm:13x64-128-10")


def architecture_named(
    text: str, data_shape: tuple[int, ...] | None = None, n_classes: int | None = None
) -> Architecture:
    """The architecture that `text` describes, checked against the data.

    One of the names in `NAMED`, or

    - `mlp:784-300-100-10`: fully connected, inputs first, classes last;
    - `cnn:8c5-m2-16c3p1-a2-64-10`: 8 filters of 5 x 5, maximum pool of 2, 16 filters of 3 x 3 with padding 1, average
      pool of 2, 64 hidden units, 10 classes. `8c5b` adds batch normalisation, `m3s2` moves windows of 3 by 2,
      `drop0.5` is dropout; `1x28x28-` in front gives the image where there are no data;
    - `lstm:13x64-128-10`: 13 features in 64 frames, 128 cells, 10 classes; `lstm:128` takes the rest from the data.
      `-mean` at the end averages the answers of all frames, `-every` gives one answer per frame.

    Parameters
    ----------
    text : the description.
    data_shape : shape of one sample of the data, (pixels,), (channels, height, width) or (frames, features); None
        where there are no data, then names stand for the images of their papers.
    n_classes : number of classes of the data; None for 10 in names.

    Raises
    ------
    UnknownName
        when it is neither a name nor one of the forms.
    InvalidOption
        when it breaks the form or does not fit the data.
    """
    head, colon, rest = text.partition(":")
    shape = tuple(data_shape or ())
    try:
        if not colon and head in NAMED:
            made = NAMED[head]
            return made(*((_image(shape),) if shape else ()), n_classes=n_classes or 10)
        if not colon or head not in ("mlp", "cnn", "lstm"):
            raise UnknownName("architecture", text, FORMS)
        words = rest.split("-")
        if head == "mlp":
            found: Architecture = FullyConnected(tuple(_whole(word) for word in words))
        elif head == "cnn":
            found = _cnn(words, shape)
        else:
            found = _lstm(words, shape, n_classes)
    except InvalidInstance as cause:
        raise InvalidOption(f"architecture {text!r}: {cause}") from None
    _check_fit(text, found, shape, n_classes)
    return found


def _conv(image: Image, n_classes: int, blocks: tuple[int, ...], padding_of_third: int) -> Convolutional:
    stages = []
    for block, filters in enumerate(blocks):
        padding = padding_of_third if block == 2 else 0
        stages += [Convolution(filters, 3, padding), Convolution(filters, 3, padding, pool=2)]
    return Convolutional(image, tuple(stages), (256, 256), n_classes, dropout=0.5)


def _image(shape: tuple[int, ...]) -> Image:
    if len(shape) == 1 and round(shape[0] ** 0.5) ** 2 == shape[0]:  # square images of one channel, flattened
        return (1, round(shape[0] ** 0.5), round(shape[0] ** 0.5))
    if len(shape) != 3:
        raise InvalidInstance(f"it needs images, samples of shape (channels, height, width), found shape {shape}")
    return (shape[0], shape[1], shape[2])


def _cnn(words: list[str], shape: tuple[int, ...]) -> Convolutional:
    stages: list[dict[str, Any]] = []
    widths: list[int] = []
    dropout = 0.0
    image = tuple(_whole(side) for side in words.pop(0).split("x")) if "x" in words[0] else _image(shape or CIFAR)
    for word in words:
        convolution, pool = _CONVOLUTION.fullmatch(word), _POOL.fullmatch(word)
        if word.startswith("drop"):
            dropout = _dropout(word)
        elif convolution and not widths:
            filters, size, padding, batch = convolution.groups()
            stages.append({"filters": int(filters), "size": int(size), "padding": int(padding or 0)})
            stages[-1]["normalise"] = "batch" if batch else "none"
        elif pool and stages and "pool" not in stages[-1] and not widths:
            stages[-1] |= {"average": pool[1] == "a", "pool": int(pool[2]), "pool_stride": int(pool[3] or 0)}
        else:
            widths.append(_whole(word))
    if not stages or not widths:
        raise InvalidInstance("it needs a convolution, such as 8c5, and the number of classes at the end")
    convolutions = tuple(Convolution(**stage) for stage in stages)
    return Convolutional(image, convolutions, tuple(widths[:-1]), widths[-1], dropout)  # type: ignore[arg-type]


def _dropout(word: str) -> float:
    if not re.fullmatch(r"drop0(\.\d{1,6})?", word):
        raise InvalidInstance(f"dropout must be written like drop0.5, found {word!r}")
    return float(word[4:])


def _lstm(words: list[str], shape: tuple[int, ...], n_classes: int | None) -> Recurrent:
    readout: Any = words.pop() if words[-1] in ("last", "mean", "every") else "last"
    if len(words) == 1 and len(shape) == 2 and n_classes is not None:
        return Recurrent(shape[1], shape[0], _whole(words[0]), n_classes, readout)
    sizes = words[0].split("x") if words else []
    if len(words) != 3 or len(sizes) != 2:
        raise InvalidInstance("it needs features x frames, cells and classes, such as lstm:13x64-128-10")
    return Recurrent(_whole(sizes[0]), _whole(sizes[1]), _whole(words[1]), _whole(words[2]), readout)


def _check_fit(text: str, found: Architecture, shape: tuple[int, ...], n_classes: int | None) -> None:
    size = 1
    for side in shape:
        size *= side
    if shape and found.n_inputs != size:
        raise InvalidOption(f"architecture {text!r} takes {found.n_inputs} inputs, the data have {size} per sample")
    if isinstance(found, Recurrent) and len(shape) == 2 and (found.frames, found.n_features) != shape:
        raise InvalidOption(
            f"architecture {text!r} takes {found.frames} frames of {found.n_features} features, the data have "
            f"{shape[0]} of {shape[1]}"
        )
    if n_classes is not None and found.n_classes != n_classes:
        raise InvalidOption(f"architecture {text!r} gives {found.n_classes} classes, the data have {n_classes}")


def _whole(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,8}", word):
        raise InvalidInstance(f"{word!r} is no whole number of at most 8 digits, nor anything else that is known here")
    return int(word)
