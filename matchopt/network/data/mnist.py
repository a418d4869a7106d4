"""MNIST, as it ships with the project, and Fashion-MNIST, which has the same form."""

from pathlib import Path

from matchopt.library import problems_folder
from matchopt.network.data.idx import IDX_NAMES, IdxFiles
from matchopt.network.data.images import ImageData
from matchopt.network.data.published import DataSet, Download

_MNIST_FILES = IdxFiles(
    "mnist",
    "MNIST",
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    packed=False,
)

# The authors' repository at its last commit that touches the data.
_FASHION_URL = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/"
    "data/fashion/"
)
_FASHION_FILES = IdxFiles(
    "fashion-mnist",
    "Fashion-MNIST",
    (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    packed=True,
)


def load_mnist(folder: Path | None = None) -> ImageData:
    """MNIST split 55,000 / 5,000 / 10,000; pixels divided by 255, nothing else.

    The split is one fixed permutation of the published training images. Raises as `load_data` does.

    Parameters
    ----------
    folder : where the four original gzip files are; None for the ones that ship with the project.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner 1998, doi:10.1109/5.726791.
    """
    return _MNIST_FILES.load(problems_folder() / "mnist" if folder is None else folder)


def load_fashion_mnist(folder: Path | None = None) -> ImageData:
    """Fashion-MNIST, split and scaled as MNIST is. Raises as `load_data` does.

    Parameters
    ----------
    folder : where the four original gzip files are; None for the ones that were fetched or are in the library.

    References
    ----------
    Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747.
    """
    return _FASHION_FILES.load(FASHION_MNIST.locate()[0].parent if folder is None else folder)


MNIST = DataSet(
    "mnist",
    "handwritten digits: 70,000 images of 28 x 28 pixels, 10 classes",
    "mnist",
    (IDX_NAMES,),
    (),
    "put the four original .gz files",
    "CC BY-SA 3.0",
    load_mnist,
    shipped=True,
)
FASHION_MNIST = DataSet(
    "fashion-mnist",
    "articles of clothing: 70,000 images of 28 x 28 pixels, 10 classes",
    "fashion-mnist",
    (IDX_NAMES,),
    tuple(Download(_FASHION_URL + file, file, sha) for file, sha in zip(IDX_NAMES, _FASHION_FILES.sha256, strict=True)),
    "put the four .gz files of github.com/zalandoresearch/fashion-mnist, data/fashion,",
    "MIT",
    load_fashion_mnist,
)
