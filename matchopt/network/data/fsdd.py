"""The Free Spoken Digit Dataset: 3,000 recordings of ten digits by six speakers, 8 kHz."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from matchopt.network.data.archives import Wanted, content_digest, read_files
from matchopt.network.data.images import ImageData
from matchopt.network.data.published import DataSet, Download
from matchopt.network.data.speech import FeatureKind, Scaling, at_the_end, feature_rows, n_features, read_recording
from matchopt.settings import PositiveInt

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
N_DIGITS, N_TEST, N_INDEX = 10, 5, 50  # recordings 0 .. 4 of every digit and speaker are the official test set
VALIDATION = 0.1  # of the other recordings
SPLIT_SEED = 20180501

_FILES = Wanted(
    "fsdd",
    re.compile(rf"(?:[^/]+/)?(?:recordings/)?(\d_(?:{'|'.join(SPEAKERS)})_\d{{1,2}}\.wav)"),
    count=N_DIGITS * len(SPEAKERS) * N_INDEX,
    largest=100_000,
    total=100_000_000,
)
_CONTENT = "dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f"


def load_fsdd(
    folder: Path | None = None, features: FeatureKind = "mfcc", frames: PositiveInt = 64, deltas: bool = False
) -> ImageData:
    """Spoken digits as sequences of features, shape (frames, features): 2,430 / 270 / 300 recordings.

    Recordings 0 to 4 of each digit and speaker are the official test set; a fixed random tenth of the others is for
    validation. All six speakers are in all three parts, so accuracies say nothing about unknown speakers. Features
    have mean 0 and standard deviation 1 by the statistics of the training part. Raises as `load_data` does.

    Parameters
    ----------
    folder : where the archive or the folder of recordings is, or the archive itself; None for what was fetched or is
        in the library.
    features : "mfcc" (13 features) or "filterbank" (26); see `matchopt.network.data.speech.feature_rows`.
    frames : frames of a sample, 10 ms each; zeros stand in front of shorter recordings, longer ones are cut at the
        end (64 hold 95 % of them whole).
    deltas : whether first and second differences are added, for three times as many features.

    References
    ----------
    github.com/Jakobovski/free-spoken-digit-dataset, doi:10.5281/zenodo.1342401.
    """
    options = FSDD.read({"features": features, "frames": frames, "deltas": deltas})
    (place,) = FSDD.locate(folder)
    files = read_files(place, _FILES)
    digest = content_digest(files)
    if digest != _CONTENT:
        raise _FILES.error(place, "does not hold the published recordings (their SHA-256 differs)")
    names = sorted(files)
    rows = [feature_rows(read_recording(files[name], f"{place}: {name}"), features, deltas) for name in names]
    parts = split(names)
    scaling = Scaling.of([rows[n] for n in parts[0]])
    fixed = np.stack([at_the_end(scaling.applied(row), frames) for row in rows]).reshape(len(rows), -1)
    labels = np.array([int(name[0]) for name in names])
    train, validation, test = ((fixed[part], labels[part]) for part in parts)
    reference, shape = FSDD.reference(digest, options), (frames, n_features(features, deltas))
    return ImageData(*train, *validation, *test, N_DIGITS, reference, shape, bounded=False)


def split(
    names: list[str],
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " validation"], Int64[np.ndarray, " test"]]:
    """Which of the file names, such as 7_theo_12.wav, are for training, validation and test.

    Every part is in a random order, always the same, so that its first recordings are of all digits and speakers.
    """
    index = np.array([int(name.removesuffix(".wav").split("_")[2]) for name in names])
    test, others = np.flatnonzero(index < N_TEST), np.flatnonzero(index >= N_TEST)
    rng = np.random.default_rng(SPLIT_SEED)
    order = rng.permutation(others)
    chosen = round(VALIDATION * len(others))
    return order[chosen:], order[:chosen], rng.permutation(test)


FSDD = DataSet(
    "fsdd",
    "Free Spoken Digit Dataset: 3,000 recordings of six speakers as sequences of features, 10 classes",
    "fsdd",
    (("fsdd-recordings.tar.xz",), ("fsdd-recordings.tar.gz",), ("recordings",)),
    (
        Download(
            "https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/tar.gz/"
            "26eb9aaf76e81b692f806f9140c2d2777410d7a1",
            "fsdd-recordings.tar.gz",
            None,
        ),
    ),
    "put the folder recordings of github.com/Jakobovski/free-spoken-digit-dataset",
    "CC BY-SA 4.0",
    load_fsdd,
)
