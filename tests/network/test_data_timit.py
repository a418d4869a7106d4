import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt.errors import DataError, InvalidOption
from matchopt.network.data.phones import COUNTS, TRANSCRIBED, fold, phone_classes
from matchopt.network.data.registry import load_data
from matchopt.network.data.timit import CORE_SPEAKERS, _utterances, frame_labels, load_timit

CLASSES = phone_classes(61)


def sphere(samples, extra=""):
    """A file as on the TIMIT disc: a header of 1,024 bytes, then 16-bit samples, low byte first."""
    head = (
        f"NIST_1A\n   1024\ndatabase_id -s5 TIMIT\nchannel_count -i 1\nsample_count -i {len(samples)}\n"
        f"sample_rate -i 16000\nsample_n_bytes -i 2\nsample_byte_format -s2 01\nsample_sig_bits -i 16\n"
        f"{extra}end_head\n"
    )
    return head.encode().ljust(1024) + samples.astype("<i2").tobytes()


def utterance(folder, name, seconds=0.6, seed=0):
    """Noise of a few phones, in folder/name.WAV and .PHN."""
    rng = np.random.default_rng(seed)
    length = int(16_000 * seconds)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".WAV").write_bytes(sphere(rng.integers(-9_000, 9_000, length)))
    cuts = [0, length // 4, length // 2, length]
    marks = ["h#", *rng.choice(["iy", "q", "tcl", "zh"], 2)]
    path.with_suffix(".PHN").write_text(
        "".join(f"{a} {b} {p}\n" for a, b, p in zip(cuts[:-1], cuts[1:], marks, strict=True))
    )


@pytest.fixture
def corpus(tmp_path):
    """Four training speakers with five sentences each, one core test speaker and another one."""
    for n, speaker in enumerate(("FCJF0", "MCPM0", "FDAW0", "MDAC0")):
        for k, sentence in enumerate(("SX1", "SX2", "SI3", "SI4", "SX399")):
            utterance(tmp_path, f"TRAIN/DR{n + 1}/{speaker}/{sentence}", 0.3 + 0.1 * k, 10 * n + k)
    for n, (region, speaker) in enumerate((("DR1", "FELC0"), ("DR2", "MABC9"))):
        for sentence in ("SX7", "SI8"):
            utterance(tmp_path, f"TEST/{region}/{speaker}/{sentence}", 0.7, 99 + n)
    utterance(tmp_path, "TRAIN/DR1/FCJF0/SA1")
    utterance(tmp_path, "TEST/DR1/FELC0/SA1")
    return tmp_path


def test_a_phone_for_every_frame(corpus):
    """Pieces of equal length, each frame with its phone, filling marked to be ignored."""
    data = load_timit(corpus, frames=25)
    assert data.shape == (25, 39)
    assert data.reference.name == "timit[frames=25]"
    assert (data.n_classes, data.bounded) == (39, False)
    assert data.test_labels.shape == (2 * 3, 25)  # 0.7 s are 68 frames, in 3 pieces each
    assert (data.test_labels.reshape(2, 75)[:, 68:] == -1).all()
    assert not data.test_images.reshape(2, 75, 39)[:, 68:].any()
    assert data.test_images.reshape(2, 75, 39)[:, :68].any(axis=2).all()
    frames = [0.3 + 0.1 * k for k in range(5)]
    pieces = 4 * sum(-(-int((s - 0.025) / 0.01 + 1 + 1e-9) // 25) for s in frames)
    assert len(data.train_labels) + len(data.validation_labels) == pieces
    silence = phone_classes(39)["h#"]
    assert (data.test_labels.reshape(2, 75)[:, :15] == silence).all()  # the first quarter is h#


def test_labels_are_those_of_the_transcription(corpus):
    """Each frame has the class of the phone that its middle sample belongs to, by a search of every segment."""
    for phones in COUNTS:
        data = load_timit(corpus, frames=68, phones=phones, test="core")
        for row, sentence in zip(data.test_labels, ("SI8", "SX7"), strict=True):
            lines = (corpus / f"TEST/DR1/FELC0/{sentence}.PHN").read_text().split("\n")[:-1]
            segments = [line.split() for line in lines]
            for frame, label in enumerate(row):
                middle = 160 * frame + 200
                (phone,) = [p for a, b, p in segments if int(a) <= middle < int(b)]
                assert label == (-1 if fold(phone, phones) is None else phone_classes(phones)[phone])


def test_features_are_standardised_by_training_frames(corpus):
    """Over the frames of the training part, filling left out, features have mean 0 and standard deviation 1."""
    data = load_timit(corpus, frames=10, deltas=False, features="filterbank", phones=61)
    assert data.shape == (10, 26)
    frames = data.train_images.reshape(-1, 26)[(data.train_labels >= 0).ravel()]
    assert np.allclose(frames.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(frames.std(axis=0), 1, atol=1e-4)


def test_test_speakers_are_apart(corpus):
    """The core test set is by speaker, the complete one is all of TEST; a speaker in both parts is refused."""
    assert len(CORE_SPEAKERS) == 24
    assert sum(name.startswith("F") for name in CORE_SPEAKERS) == 8  # one woman and two men for each of 8 regions
    core, complete = (load_timit(corpus, frames=70, test=test) for test in ("core", "complete"))
    assert (len(core.test_labels), len(complete.test_labels)) == (2, 4)
    assert core.reference.sha256 != complete.reference.sha256
    assert complete.reference.name == "timit[frames=70,test=complete]"
    utterance(corpus, "TEST/DR1/FCJF0/SX9")
    with pytest.raises(DataError, match="speaker FCJF0 is in TRAIN and in TEST"):
        load_timit(corpus, test="complete")


def test_sentences_that_everybody_reads_are_left_out(corpus):
    """SA1 and SA2 are in no part."""
    assert len(_utterances(corpus)) == 24
    before = load_timit(corpus, frames=50).reference
    for name in ("TRAIN/DR1/FCJF0/SA1", "TEST/DR1/FELC0/SA1"):
        (corpus / f"{name}.WAV").unlink()
    assert load_timit(corpus, frames=50).reference == before


def test_copies_in_small_letters_are_the_same_data(corpus, tmp_path_factory):
    """Names in capitals or not: the same corpus with the same reference."""
    small = tmp_path_factory.mktemp("small")
    for path in corpus.rglob("*.*"):
        target = small / path.relative_to(corpus).as_posix().lower()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    one, other = load_timit(corpus, frames=30), load_timit(small, frames=30)
    assert one.reference == other.reference
    assert np.array_equal(one.train_images, other.train_images)


def test_the_content_is_in_the_reference(corpus):
    """One other sample, or one other mark, is another data set."""
    seen = {load_timit(corpus, frames=30).reference.sha256}
    path = corpus / "TRAIN/DR2/MCPM0/SX2.WAV"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    seen.add(load_timit(corpus, frames=30).reference.sha256)
    path = corpus / "TRAIN/DR2/MCPM0/SX2.PHN"
    path.write_text(path.read_text().replace("h#", "pau"))
    seen.add(load_timit(corpus, frames=30).reference.sha256)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("SX1.PHN", b"", "SX1.PHN holds no phone"),
        ("SX1.PHN", b"0 100\n", r"SX1.PHN:1: a line must hold two sample numbers and a phone, found '0 100'"),
        ("SX1.PHN", b"0 100 iy\n100 200 xx\n", r"SX1.PHN:2: a line must hold .* found '100 200 xx'"),
        ("SX1.PHN", b"0 100 iy\n-5 200 iy\n", r"SX1.PHN:2: a line must hold"),
        ("SX1.PHN", b"0 100 iy\n300 200 iy\n", r"SX1.PHN:2: phones must follow each other in time"),
        ("SX1.PHN", b"50 100 iy\n0 200 iy\n", r"SX1.PHN:2: phones must follow each other in time"),
        ("SX1.WAV", b"", "SX1.WAV is no sound WAV or SPHERE file"),
        ("SX1.WAV", sphere(np.zeros(100)), "SX1.WAV is shorter than one frame"),
        (
            "SX1.WAV",
            sphere(np.zeros(1000), "sample_coding -s26 pcm,embedded-shorten-v2.00\n"),
            "compressed with shorten",
        ),
        ("SX1.WAV", sphere(np.zeros(1000)).replace(b"-i 16000", b"-i 08000"), "8000 samples per second, not 16000"),
        ("SX1.WAV", bytes(10_000_001), "SX1.WAV has more than 10000000 bytes"),
        ("SX1.WAV", None, "SX1.WAV is missing in"),
        ("SX1.PHN", None, "SX1.PHN is missing in"),
    ],
)
def test_broken_files_give_one_sentence(corpus, name, content, message):
    """Each defect of a file is a DataError that names it."""
    path = corpus / "TRAIN/DR1/FCJF0" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_timit(corpus, frames=30)
    assert str(caught.value).startswith("timit: ")
    assert "\n" not in str(caught.value)


def test_a_missing_or_empty_corpus_is_one_sentence(tmp_path):
    """The sentence says where the corpus comes from and where to put it."""
    with pytest.raises(DataError, match=r"timit is not here.*LDC93S1.*TRAIN and TEST into") as caught:
        load_timit(tmp_path)
    assert "fetch" not in str(caught.value)
    (tmp_path / "TRAIN").mkdir()
    (tmp_path / "TEST").mkdir()
    with pytest.raises(DataError, match="no training utterance among them"):
        load_timit(tmp_path)
    for n in range(3):
        utterance(tmp_path, f"TRAIN/DR1/FCJF0/SX{n}")
    with pytest.raises(DataError, match="no core test speaker among them"):
        load_timit(tmp_path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"frames": 0}, "frames must be a whole number >= 1"),
        ({"phones": 40}, "phones must be one of 39, 48, 61, found 40"),
    ],
)
def test_options_out_of_range_are_refused(corpus, option, message):
    """Options are checked before anything is read."""
    with pytest.raises(InvalidOption, match=message):
        load_data("timit", corpus, **option)


@given(st.binary(max_size=60), st.integers(1, 30))
def test_any_transcription_gives_labels_or_one_sentence(content, count):
    """Whatever bytes a transcription has, labels are classes or -1, or the DataError names the file."""
    try:
        labels = frame_labels(content, "x.PHN", count, CLASSES)
    except DataError as cause:
        assert str(cause).startswith("x.PHN")
    else:
        assert labels.shape == (count,)
        assert ((labels >= -1) & (labels < 61)).all()


@given(st.lists(st.tuples(st.integers(1, 900), st.integers(0, 200), st.sampled_from(TRANSCRIBED)), min_size=1))
def test_gaps_are_ignored_and_order_is_kept(segments):
    """Frames between two phones, and behind the last, are ignored."""
    lines, at, spans = "", 0, []
    for length, gap, phone in segments:
        spans.append((at + gap, at + gap + length, phone))
        lines += f"{at + gap}\t{at + gap + length} {phone} \r\n"
        at += gap + length
    labels = frame_labels(lines.encode(), "x", 40, CLASSES)
    for frame, label in enumerate(labels):
        inside = [CLASSES[phone] for a, b, phone in spans if a <= 160 * frame + 200 < b]
        assert [label] == (inside or [-1])


def test_phones_fold_as_published():
    """61 phones, 48 of them in the models of Lee and Hon, 39 groups for counting errors; q is in neither."""
    for count in COUNTS:
        assert len({c for c in phone_classes(count).values() if c is not None}) == count
        assert set(phone_classes(count)) == set(TRANSCRIBED)
    assert fold("q", 61) == "q"
    assert fold("q", 48) is fold("q", 39) is None
    silent = {phone for phone in TRANSCRIBED if fold(phone, 39) == "sil"}
    assert silent == {"h#", "pau", "epi", "bcl", "dcl", "gcl", "pcl", "tcl", "kcl"}
    # Lee and Hon 1989, section on confusions: these pairs and triples count as one phone each.
    for group in (
        {"sil", "cl", "vcl", "epi"},
        {"el", "l"},
        {"en", "n"},
        {"sh", "zh"},
        {"ao", "aa"},
        {"ih", "ix"},
        {"ah", "ax"},
    ):
        found = {fold(phone, 39) for phone in TRANSCRIBED if fold(phone, 48) in group}
        assert len(found) == 1
        assert {fold(phone, 48) for phone in TRANSCRIBED if fold(phone, 39) in found} == group
