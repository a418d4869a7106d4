"""From sound to features: recordings read with libsndfile, cepstra or mel bands, differences, fixed lengths.

Frames of 25 ms every 10 ms, pre-emphasis 0.97, Hamming window, triangular bands equally spaced on the mel scale
2595 log10(1 + f / 700) up to half the sampling rate.

References
----------
Davis, Mermelstein 1980, doi:10.1109/TASSP.1980.1163420 (cepstra from mel bands). Young et al., The HTK Book, section
5 (the same details).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from matchopt.errors import DataError, MissingExtra

FeatureKind = Literal["mfcc", "filterbank"]
WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
PRE_EMPHASIS = 0.97
N_BANDS = 26
N_CEPSTRA = 13  # the first one is the logarithm of the frame's energy
QUIET = 1e-10  # energies below it count as this much: silence has no logarithm


@dataclass(frozen=True)
class Recording:
    """One recording.

    Parameters
    ----------
    samples : in -1 .. 1.
    rate : samples per second.
    """

    samples: Float32[np.ndarray, " samples"]
    rate: int


def read_recording(content: bytes, name: str) -> Recording:
    """A mono recording from the bytes of a WAV or NIST SPHERE file.

    Raises
    ------
    DataError
        when it is no sound file, is compressed with `shorten`, is cut short or has several channels.
    MissingExtra
        when soundfile is not installed.
    """
    try:
        import soundfile
    except ModuleNotFoundError:
        raise MissingExtra("reading recordings", "soundfile", "data") from None
    header = _sphere_header(content)
    if "shorten" in header.get("sample_coding", ""):
        raise DataError(f"{name} is compressed with shorten; unpack it with: sph2pipe -f sph, or sox")
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as cause:
        reason = str(getattr(cause, "error_string", cause)).rstrip(".")
        raise DataError(f"{name} is no sound WAV or SPHERE file ({reason})") from None
    promised = header.get("sample_count", "")
    if promised.isdecimal() and len(samples) < int(promised):
        raise DataError(f"{name} is cut short: {len(samples)} of {promised} samples are there")
    if samples.shape[1] != 1:
        raise DataError(f"{name} must have one channel, found {samples.shape[1]}")
    if not np.isfinite(samples).all():
        raise DataError(f"{name} holds samples that are no numbers")
    return Recording(np.ascontiguousarray(samples[:, 0]), int(rate))


def feature_rows(recording: Recording, kind: FeatureKind, deltas: bool) -> Float32[np.ndarray, "frames features"]:
    """One row of features per frame; no row where the recording is shorter than a frame.

    Parameters
    ----------
    recording : the sound.
    kind : "mfcc": log energy and 12 cepstra of 26 mel bands; "filterbank": the logarithms of these 26 bands.
    deltas : whether their first and second differences over time are added.
    """
    from scipy.fft import dct, rfft  # takes as long to load as all data sets of images

    window, hop = round(WINDOW_SECONDS * recording.rate), round(HOP_SECONDS * recording.rate)
    sound = recording.samples.astype(np.float64)
    sound[1:] -= PRE_EMPHASIS * recording.samples[:-1]
    count = n_frames(len(sound), recording.rate)
    if count == 0:
        return np.zeros((0, n_features(kind, deltas)), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::hop][:count]
    size = 1 << (window - 1).bit_length()
    power = np.abs(rfft(frames * np.hamming(window), size)) ** 2 / size
    bands = np.log(np.maximum(power @ mel_bands(recording.rate, size).T, QUIET))
    if kind == "mfcc":
        energy = np.log(np.maximum(power.sum(axis=1), QUIET))
        bands = np.column_stack([energy, dct(bands, type=2, norm="ortho", axis=1)[:, 1:N_CEPSTRA]])
    if deltas:
        first = differences(bands)
        bands = np.concatenate([bands, first, differences(first)], axis=1)
    rows: np.ndarray = bands.astype(np.float32)
    return rows


def n_frames(samples: int, rate: int) -> int:
    """How many whole frames a recording has."""
    window, hop = round(WINDOW_SECONDS * rate), round(HOP_SECONDS * rate)
    return max(0, 1 + (samples - window) // hop)


def n_features(kind: FeatureKind, deltas: bool) -> int:
    """Features per frame."""
    return (N_CEPSTRA if kind == "mfcc" else N_BANDS) * (3 if deltas else 1)


@lru_cache
def mel_bands(rate: int, size: int) -> Float64[np.ndarray, "bands bins"]:
    """Weight of each bin of a transform of `size` samples in each of the triangular bands."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, N_BANDS + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    weights: np.ndarray = np.clip(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0, None)
    weights.flags.writeable = False
    return weights


def differences(rows: Float64[np.ndarray, "frames features"]) -> Float64[np.ndarray, "frames features"]:
    """Slope over five frames by least squares; the ends are repeated."""
    around = np.concatenate([rows[:1], rows[:1], rows, rows[-1:], rows[-1:]])
    count = len(rows)
    slope: np.ndarray = (around[3 : 3 + count] - around[1 : 1 + count] + 2 * (around[4:] - around[:count])) / 10
    return slope


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and standard deviation of each feature over the frames of the training part."""

    mean: Float32[np.ndarray, " features"]
    deviation: Float32[np.ndarray, " features"]

    @classmethod
    def of(cls, training: Sequence[Float32[np.ndarray, "_ features"]]) -> "Scaling":
        """The statistics of these recordings; a constant feature is only centred."""
        frames = np.concatenate(training).astype(np.float64)
        deviation = frames.std(axis=0)
        deviation[deviation < 1e-6] = 1.0
        return cls(frames.mean(axis=0).astype(np.float32), deviation.astype(np.float32))

    def applied(self, rows: Float32[np.ndarray, "frames features"]) -> Float32[np.ndarray, "frames features"]:
        """Rows with mean 0 and standard deviation 1 by the training part's measure."""
        scaled: np.ndarray = (rows - self.mean) / self.deviation
        return scaled


def at_the_end(rows: Float32[np.ndarray, "found features"], frames: int) -> Float32[np.ndarray, "frames features"]:
    """A fixed number of frames: zeros in front of a short recording, the end of a long one cut off."""
    fixed = np.zeros((frames, rows.shape[1]), np.float32)
    kept = rows[:frames]
    fixed[frames - len(kept) :] = kept
    return fixed


def _sphere_header(content: bytes) -> dict[str, str]:
    """The fields of a NIST SPHERE header, lines of name, type and value; empty for another kind of file."""
    if not content.startswith(b"NIST_1A"):
        return {}
    lines = content[:1024].decode("latin-1").split("end_head")[0].splitlines()
    return {words[0]: words[2] for words in (line.split(maxsplit=2) for line in lines) if len(words) == 3}
