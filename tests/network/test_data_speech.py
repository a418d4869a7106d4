import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from matchopt.errors import DataError
from matchopt.network.data.speech import (
    QUIET,
    Recording,
    Scaling,
    at_the_end,
    differences,
    feature_rows,
    mel_bands,
    n_features,
    n_frames,
    read_recording,
)


def tone(frequency, rate=8000, seconds=0.5):
    return Recording(np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate).astype(np.float32), rate)


def sound_file(samples, rate=8000, form="WAV", kind="PCM_16"):
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=kind)
    return out.getvalue()


def sphere(samples, order="01", extra="", count=None):
    """A NIST SPHERE file with a header like those of TIMIT."""
    head = (
        "NIST_1A\n   1024\ndatabase_id -s5 TIMIT\nutterance_id -s8 cjf0_sx1\nchannel_count -i 1\n"
        f"sample_count -i {len(samples) if count is None else count}\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
        f"sample_byte_format -s2 {order}\nsample_sig_bits -i 16\n{extra}end_head\n"
    ).encode()
    return head.ljust(1024) + samples.astype("<i2" if order == "01" else ">i2").tobytes()


@pytest.mark.parametrize("form", ["WAV", "NIST"])
def test_recordings_are_read_as_written(form):
    """16-bit samples of WAV and SPHERE files come back exactly, divided by 32768."""
    samples = np.random.default_rng(0).integers(-32768, 32768, 500, dtype=np.int16)
    recording = read_recording(sound_file(samples, form=form), "x")
    assert recording.rate == 8000
    assert np.array_equal(recording.samples * 32768, samples)


@pytest.mark.parametrize("order", ["01", "10"])
def test_sphere_files_of_either_byte_order_are_read(order):
    """The header of TIMIT's files says which byte comes first."""
    samples = np.arange(-500, 500) * 60
    assert np.array_equal(read_recording(sphere(samples, order), "x").samples * 32768, samples)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no sound WAV or SPHERE file"),
        (b"RIFF....WAVE", "no sound WAV or SPHERE file"),
        (b"NIST_1A\n   1024\n", "no sound WAV or SPHERE file"),
        (sphere(np.zeros(9), extra="sample_coding -s26 pcm,embedded-shorten-v2.00\n"), "compressed with shorten"),
        (sphere(np.zeros(90), count=91), "cut short: 90 of 91 samples"),
        (sound_file(np.zeros((9, 2))), "must have one channel, found 2"),
        (sound_file(np.array([0, np.nan]), kind="FLOAT"), "samples that are no numbers"),
    ],
    ids=range(7),  # the bytes hold the time of day
)
def test_broken_recordings_give_one_sentence(content, message):
    """Each defect of a sound file is a DataError that names the file."""
    with pytest.raises(DataError, match=message) as caught:
        read_recording(content, "a/b.wav")
    assert str(caught.value).startswith("a/b.wav ")
    assert "\n" not in str(caught.value)


@given(st.sampled_from(["WAV", "NIST", "SPHERE"]), st.integers(0, 1200), st.binary(max_size=6), st.integers(0, 300))
def test_damaged_recordings_never_raise_anything_else(form, at, junk, cut):
    """Bytes changed or cut out anywhere give a recording or one DataError."""
    samples = np.arange(100) * 50
    content = sphere(samples) if form == "SPHERE" else sound_file(samples.astype(np.int16), form=form)
    damaged = content[:at] + junk + content[at + cut :]
    try:
        recording = read_recording(damaged, "x")
    except DataError as cause:
        assert str(cause).startswith("x ")
    else:
        assert np.isfinite(recording.samples).all()


@pytest.mark.parametrize("frequency", [200, 700, 1500, 3000])
def test_a_tone_is_loudest_in_its_band(frequency):
    """The band that is centred nearest to a tone, on the mel scale, has the most energy."""
    bands = feature_rows(tone(frequency), "filterbank", False)

    def mel(f):
        return 2595 * np.log10(1 + f / 700)

    centres = np.linspace(0, mel(4000), 28)[1:-1]
    assert (bands.argmax(axis=1) == np.abs(centres - mel(frequency)).argmin()).all()


def test_bands_cover_every_frequency_once():
    """Between the first and the last centre the triangles add up to 1."""
    weights = mel_bands(16000, 512)
    inside = slice(weights[0].argmax() + 1, weights[-1].argmax())
    assert np.allclose(weights.sum(axis=0)[inside], 1)


def test_cepstra_are_those_of_the_definition():
    """One frame by plain sums: window, transform, bands, logarithm, cosine transform; energy first."""
    rng = np.random.default_rng(1)
    recording = Recording(rng.normal(size=230).astype(np.float32), 8000)
    rows = feature_rows(recording, "mfcc", False)
    assert rows.shape == (1, 13)
    x = recording.samples.astype(float)
    x = np.array([x[0]] + [x[n] - 0.97 * x[n - 1] for n in range(1, 200)])
    x *= [0.54 - 0.46 * np.cos(2 * np.pi * n / 199) for n in range(200)]
    power = [abs(sum(x[n] * np.exp(-2j * np.pi * k * n / 256) for n in range(200))) ** 2 / 256 for k in range(129)]
    corner = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 28)]
    logs = []
    for b in range(26):
        total = 0.0
        for k, value in enumerate(power):
            f = k * 8000 / 256
            up, down = (
                (f - corner[b]) / (corner[b + 1] - corner[b]),
                (corner[b + 2] - f) / (corner[b + 2] - corner[b + 1]),
            )
            total += max(0.0, min(up, down)) * value
        logs.append(np.log(max(total, QUIET)))
    cepstra = [
        np.sqrt(2 / 26) * sum(logs[b] * np.cos(np.pi * c * (b + 0.5) / 26) for b in range(26)) for c in range(13)
    ]
    assert rows[0, 0] == pytest.approx(np.log(sum(power)), rel=1e-5)
    assert np.allclose(rows[0, 1:], cepstra[1:], atol=1e-4)


def test_silence_has_finite_features():
    """A recording of zeros has the same finite features in every frame."""
    rows = feature_rows(Recording(np.zeros(2000, np.float32), 8000), "mfcc", True)
    assert np.isfinite(rows).all()
    assert np.allclose(rows, rows[0])
    assert np.allclose(rows[:, 13:], 0, atol=1e-5)


@given(st.integers(0, 3000))
def test_frames_are_counted_from_the_length(samples):
    """The last frame lies wholly inside the recording, and the next one would not."""
    count = n_frames(samples, 8000)
    rows = feature_rows(Recording(np.ones(samples, np.float32), 8000), "filterbank", True)
    assert rows.shape == (count, n_features("filterbank", True))
    assert count == 0 or (count - 1) * 80 + 200 <= samples
    assert count * 80 + 200 > samples


def test_differences_are_slopes():
    """A straight line has its slope as difference, away from the ends; a constant has none."""
    line = np.arange(20.0)[:, None] * (3, 0)
    assert np.allclose(differences(line)[2:-2], (3, 0))
    assert np.allclose(differences(np.ones((1, 4))), 0)


def test_scaling_uses_the_training_part_alone():
    """The training part has mean 0 and standard deviation 1; a constant feature is only centred."""
    rng = np.random.default_rng(2)
    rows = [(rng.normal(size=(n, 3)) * (2, 5, 0) + 7).astype(np.float32) for n in (10, 30)]
    scaling = Scaling.of(rows)
    scaled = np.concatenate([scaling.applied(each) for each in rows])
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(scaled.std(axis=0), (1, 1, 0), atol=1e-5)
    assert np.allclose(scaling.applied(rows[0] + 1), scaling.applied(rows[0]) + 1 / scaling.deviation, atol=1e-5)


def test_sequences_end_together():
    """Short recordings have zeros in front, long ones lose their end."""
    rows = np.arange(1, 7, dtype=np.float32).reshape(3, 2)
    assert at_the_end(rows, 5).tolist() == [[0, 0], [0, 0], [1, 2], [3, 4], [5, 6]]
    assert at_the_end(rows, 2).tolist() == [[1, 2], [3, 4]]
