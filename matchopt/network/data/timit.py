"""TIMIT, from a copy in the layout of the Linguistic Data Consortium: TRAIN/DR1/FCJF0/SX127.WAV and .PHN."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64

from matchopt.errors import DataError
from matchopt.network.data.images import IGNORED, ImageData
from matchopt.network.data.phones import phone_classes
from matchopt.network.data.published import DataSet
from matchopt.network.data.speech import (
    HOP_SECONDS,
    WINDOW_SECONDS,
    FeatureKind,
    Scaling,
    feature_rows,
    n_features,
    read_recording,
)
from matchopt.settings import PositiveInt

VALIDATION = 0.05  # of the training utterances
SPLIT_SEED = 20180501
RATE = 16_000
LARGEST = 10_000_000  # bytes of a recording; the longest published one has a quarter of a million
# The core test set, two men and one woman of each dialect region (TIMIT documentation, TESTSET.DOC).
_CORE = """
MDAB0 MWBT0 FELC0 MTAS1 MWEW0 FPAS0 MJMP0 MLNT0 FPKT0 MLLL0 MTLS0 FJLM0
MBPM0 MKLT0 FNLP0 MCMJ0 MJDH0 FMGD0 MGRT0 MNJM0 FDHC0 MJLN0 MPAM0 FMLD0
"""
CORE_SPEAKERS = frozenset(_CORE.split())
_UTTERANCE = re.compile(r"(TRAIN|TEST)/(DR[1-8])/([FM][A-Z]{3}\d)/(S[IX]\d{1,4})\.(WAV|PHN)")
_LINE = re.compile(r"(\d{1,9})[ \t]+(\d{1,9})[ \t]+(\S+)")


@dataclass(frozen=True)
class _Utterance:
    """Where the two files of one utterance are.

    Parameters
    ----------
    name : such as TRAIN/DR1/FCJF0/SX127, in capitals.
    speaker : such as FCJF0.
    sound, phones : the files.
    """

    name: str
    speaker: str
    sound: Path
    phones: Path


def load_timit(
    folder: Path | None = None,
    features: FeatureKind = "mfcc",
    frames: PositiveInt = 200,
    deltas: bool = True,
    phones: Literal[39, 48, 61] = 39,
    test: Literal["core", "complete"] = "core",
) -> ImageData:
    """TIMIT as sequences of features with a phone for every frame, shape (frames, features).

    The dialect sentences SA1 and SA2, which everybody reads, are left out. A fixed random twentieth of the training
    utterances is for validation, so its speakers are also trained on; no test speaker is. Each utterance is cut into
    pieces of `frames` frames, the last one filled up with zeros. The label of a frame is the phone in its middle; -1
    marks frames to be ignored: filling, what is not transcribed, and for 48 and 39 phones the glottal stop. Features
    have mean 0 and standard deviation 1 by the statistics of the training part. Raises as `load_data` does.

    Parameters
    ----------
    folder : the folder that holds TRAIN and TEST, names in capitals or not; None for the library.
    features : "mfcc" (13 features) or "filterbank" (26); see `matchopt.network.data.speech.feature_rows`.
    frames : frames of a sample, 10 ms each.
    deltas : whether first and second differences are added, for three times as many features.
    phones : number of classes: 61, 48 or 39.
    test : "core": the 24 speakers of the core test set; "complete": all of TEST.

    References
    ----------
    Garofolo et al. 1993, LDC93S1, doi:10.35111/17gk-bn40. Graves, Schmidhuber 2005, doi:10.1016/j.neunet.2005.06.042
    (framewise classification with a twentieth of the utterances for validation).
    """
    given: dict[str, Any] = {"features": features, "frames": frames, "deltas": deltas, "phones": phones, "test": test}
    options = TIMIT.read(given)
    classes = phone_classes(phones)
    corpus = TIMIT.locate(folder)[0].parent
    digest = hashlib.sha256()
    parts: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
    for part in _split(corpus, test):
        read = [_read(utterance, features, deltas, classes, digest) for utterance in part]
        parts.append(([rows for rows, _ in read], [labels for _, labels in read]))
    scaling = Scaling.of(parts[0][0])
    pieces = [_pieces([scaling.applied(rows) for rows in rows_of], labels_of, frames) for rows_of, labels_of in parts]
    shape, reference = (frames, n_features(features, deltas)), TIMIT.reference(digest.hexdigest(), options)
    return ImageData(*pieces[0], *pieces[1], *pieces[2], phones, reference, shape, bounded=False)


def _split(corpus: Path, test: str) -> tuple[list[_Utterance], list[_Utterance], list[_Utterance]]:
    """The utterances for training, validation and test."""
    found = _utterances(corpus)
    training = [each for each in found if each.name.startswith("TRAIN/")]
    tested = [each for each in found if each.name.startswith("TEST/")]
    if test == "core":
        tested = [each for each in tested if each.speaker in CORE_SPEAKERS]
    count = max(1, round(VALIDATION * len(training)))
    if len(training) <= count or not tested:
        what = "core test speaker" if len(training) > count else "training utterance"
        raise DataError(f"timit: {corpus} holds too few utterances, no {what} among them; {TIMIT.advice(corpus)}")
    shared = {each.speaker for each in training} & {each.speaker for each in tested}
    if shared:
        raise DataError(f"timit: speaker {min(shared)} is in TRAIN and in TEST of {corpus}; {TIMIT.advice(corpus)}")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(training))
    validation = sorted(order[:count])
    kept = sorted(order[count:])
    return [training[n] for n in kept], [training[n] for n in validation], tested


def _utterances(corpus: Path) -> list[_Utterance]:
    """Every sentence of the kinds SI and SX, sorted by name; the names of files may be in capitals or not."""
    found: dict[str, dict[str, Path]] = {}
    speakers: dict[str, str] = {}
    for place, _, names in os.walk(corpus):
        for name in names:
            path = Path(place, name)
            match = _UTTERANCE.fullmatch(path.relative_to(corpus).as_posix().upper())
            if match:
                key = "/".join(match.groups()[:4])
                if match[5] in found.setdefault(key, {}):
                    raise DataError(f"timit: {path} is there twice, in capitals and not; remove one")
                found[key][match[5]] = path
                speakers[key] = match[3]
    for key, files in found.items():
        if len(files) < 2:
            (kind,) = {"WAV", "PHN"} - set(files)
            raise DataError(f"timit: {key}.{kind} is missing in {corpus}; {TIMIT.advice(corpus)}")
    return [_Utterance(key, speakers[key], found[key]["WAV"], found[key]["PHN"]) for key in sorted(found)]


def _read(
    utterance: _Utterance, kind: FeatureKind, deltas: bool, classes: dict[str, int | None], digest: Any
) -> tuple[Float32[np.ndarray, "frames features"], Int64[np.ndarray, " frames"]]:
    """Features and labels of one utterance; its files go into the digest."""
    contents = []
    for path in (utterance.sound, utterance.phones):
        try:
            if path.stat().st_size > LARGEST:
                raise DataError(f"timit: {path} has more than {LARGEST} bytes, which no recording of TIMIT has")
            contents.append(path.read_bytes())
        except OSError as cause:
            if isinstance(cause, DataError):
                raise
            raise DataError(f"timit: {path} cannot be read ({cause.strerror})") from None
    marks = "".join(hashlib.sha256(content).hexdigest() for content in contents)
    digest.update(f"{utterance.name} {marks}\n".encode())
    recording = read_recording(contents[0], f"timit: {utterance.sound}")
    if recording.rate != RATE:
        raise DataError(f"timit: {utterance.sound} has {recording.rate} samples per second, not {RATE}")
    rows = feature_rows(recording, kind, deltas)
    if not len(rows):
        raise DataError(f"timit: {utterance.sound} is shorter than one frame")
    return rows, frame_labels(contents[1], f"timit: {utterance.phones}", len(rows), classes)


def frame_labels(content: bytes, name: str, count: int, classes: dict[str, int | None]) -> Int64[np.ndarray, " frames"]:
    """Class of the phone in the middle of each frame; -1 where there is none.

    Raises DataError when a line cannot be read, overlaps the one before, or holds an unknown phone.

    Parameters
    ----------
    content : a transcription: lines of first sample, sample behind the last, phone.
    name : what to call it in messages.
    count : number of frames.
    classes : class of each phone; None: ignored.
    """
    starts, ends, labels = [0], [0], [IGNORED]  # an empty phone in front, so that there is always one before
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or match[3] not in classes:
            raise DataError(f"{name}:{number}: a line must hold two sample numbers and a phone, found {line[:40]!r}")
        start, end = int(match[1]), int(match[2])
        if start < starts[-1] or end <= max(start, ends[-1]):
            raise DataError(f"{name}:{number}: phones must follow each other in time, found {line[:40]!r}")
        label = classes[match[3]]
        starts.append(start)
        ends.append(end)
        labels.append(IGNORED if label is None else label)
    if len(labels) == 1:
        raise DataError(f"{name} holds no phone")
    middle = np.arange(count) * round(HOP_SECONDS * RATE) + round(WINDOW_SECONDS * RATE) // 2
    segment = np.searchsorted(np.array(ends), middle, side="right")
    inside = segment < len(ends)
    segment = np.minimum(segment, len(ends) - 1)
    inside &= middle >= np.array(starts)[segment]
    return np.where(inside, np.array(labels, np.int64)[segment], IGNORED)


def _pieces(
    rows_of: Sequence[np.ndarray], labels_of: Sequence[np.ndarray], frames: int
) -> tuple[Float32[np.ndarray, "pieces values"], Int64[np.ndarray, "pieces frames"]]:
    """Utterances cut into pieces of equal length, the last of each filled up with zeros and -1."""
    samples, labels = [], []
    for rows, classes in zip(rows_of, labels_of, strict=True):
        missing = -len(rows) % frames
        samples.append(np.pad(rows, ((0, missing), (0, 0))).reshape(-1, frames * rows.shape[1]))
        labels.append(np.pad(classes, (0, missing), constant_values=IGNORED).reshape(-1, frames))
    return np.concatenate(samples), np.concatenate(labels)


TIMIT = DataSet(
    "timit",
    "read speech of 630 speakers, a phone for every frame (licensed: LDC93S1)",
    "timit",
    (("TRAIN", "TEST"), ("train", "test")),
    (),
    "get LDC93S1 from the Linguistic Data Consortium (catalog.ldc.upenn.edu/LDC93S1) and put its folders TRAIN and "
    "TEST",
    "LDC user agreement",
    load_timit,
)
