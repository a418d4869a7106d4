"""Chips: what arrays, readings and places become, and the hardware of a layer on them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from matchopt.errors import InvalidInstance
from matchopt.instances import CellPlace, Chip, ChipArray, Hardware, LayerInstance, Origin, Place, Target

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(2, 3))
TALL = ChipArray(RNG.normal(size=(3, 2)), Place("b.npz", "tall", 4, 5), bus=np.zeros(3, int))
CHIP = Chip((ChipArray(WEIGHTS, Place("a.npy")), TALL), "S")


def test_cells_have_physical_names_in_every_array() -> None:
    """Neurons are numbered through all arrays; file, array, row and column lead back to each measured value."""
    assert (CHIP.n_neurons, CHIP.n_cells) == (5, 3)
    origin = CHIP.origin()
    assert origin.cell(1, 2) == CellPlace("a.npy", "", 1, 2)
    assert origin.cell(3, 1) == CellPlace("b.npz", "tall", 5, 6)
    assert origin.cell(2) == CellPlace("b.npz", "tall", 4, None)
    with pytest.raises(InvalidInstance, match="the chip has 5 neurons, found number 5"):
        origin.cell(5)


def test_every_neuron_may_have_a_scale_of_its_own() -> None:
    """All of a neuron is scaled, as `scaled` does; value times scale is the weight, to the bit; files keep it."""
    part, factors = CHIP.hardware([4, 0]), np.array([0.3, 7.0])
    levels, low = np.full((2, 3, 2), np.nan), np.full((2, 3), np.nan)
    levels[:, 0], low[:, 1] = [1.0, 2.0], -1.0
    full = replace(part, levels=levels, variance=part.weights**2, low=low, high=low + 3)
    found = full.scaled_each(factors)
    for n, factor in enumerate(factors):
        for name, values in full.scaled(factor).arrays().items():
            if name not in ("neuron", "bus"):
                np.testing.assert_array_equal(getattr(found, name)[n], values[n])
    assert found.origin is not None and found.measured is not None
    scales = np.array([found.origin.scale_of(number) for number in (4, 0)])
    assert np.array_equal(found.measured * scales[:, None], found.weights)
    assert Origin.from_facts(found.origin.facts()) == found.origin
    assert "scales" not in CHIP.origin().facts()
    assert [CHIP.origin().array_of(number) for number in range(5)] == [0, 0, 1, 1, 1]
    with pytest.raises(InvalidInstance, match=r"factors must be > 0, found 0.0 for neuron 1"):
        full.scaled_each(np.array([1.0, 0.0]))
    with pytest.raises(InvalidInstance, match="one for each of 5 neurons, found 1"):
        replace(CHIP.origin(), scales=(1.0,))


def test_hardware_of_a_layer_keeps_what_was_measured() -> None:
    """Value times scale is the weight, to the bit; narrow arrays end in cells that are not usable."""
    hardware = CHIP.hardware(scale=0.3)
    assert hardware.measured is not None
    assert np.array_equal(hardware.measured * hardware.origin.scale, hardware.weights)  # type: ignore[union-attr]
    assert np.array_equal(hardware.measured[:2], WEIGHTS)
    assert hardware.usable.tolist() == [[True] * 3] * 2 + [[True, True, False]] * 3
    assert hardware.bus.tolist() == [0, 1, 2, 2, 2]
    part = CHIP.hardware([4, 0], cells=2)
    assert part.neuron.tolist() == [4, 0]
    assert part.bus.tolist() == [2, 0]
    assert np.array_equal(part.weights, np.stack([TALL.weights[2], WEIGHTS[0, :2]]))


def test_origin_and_measured_values_survive_a_file_and_change_nothing_where_there_are_none() -> None:
    """Both are part of the instance; hardware without them keeps its digest of before."""
    layer = LayerInstance(Target.from_dense(np.ones((2, 2))), CHIP.hardware(scale=0.3))
    back = LayerInstance.from_parts(layer.parts())
    assert back.digest == layer.digest
    assert back.hardware.origin == CHIP.origin(0.3)
    assert np.array_equal(back.hardware.measured, layer.hardware.measured)  # type: ignore[arg-type]
    plain = replace(layer, hardware=Hardware(CHIP.hardware().weights))
    assert set(plain.parts().facts) == {"n_inputs", "rules", "objective"}
    assert "measured" not in plain.hardware.arrays()


def test_repeated_readings_give_mean_and_variance() -> None:
    """Of the latest time; an earlier time is chosen by `at`, a span by `until`."""
    readings = RNG.normal(size=(5, 2, 3))
    array = ChipArray(readings=readings, seconds=np.array([0.0, 0.0, 0.0, 1.0, 1.0]))
    assert array.times == (0.0, 1.0)
    for found, own in ((array, readings[3:]), (array.at(0.0), readings[:3]), (array.until(0.5), readings[:3])):
        assert np.allclose(found.weights, own.mean(axis=0))
        assert np.allclose(found.variance, own.var(axis=0, ddof=1))
    assert not ChipArray(readings=readings[:1]).variance.any()
    single = ChipArray(readings=readings[:3], seconds=np.array([0.0, 1.0, 1.0]))
    assert not single.at(0.0).variance.any()
    assert ChipArray(readings=readings[:2], seconds=np.arange(2), variance=np.ones((2, 3))).at(0.0).variance.all()
    assert Chip((array, array)).at(0.0).times == (0.0,)
    with pytest.raises(InvalidInstance, match=r"no reading from 0\.5 to 0\.5; there are 0, 1"):
        array.at(0.5)


def test_stuck_cells_add_their_value_switched_on_or_off() -> None:
    """Given as a mask or as values, NaN where a cell is not stuck."""
    mask = np.array([[True, False, False], [False, False, True]])
    array = ChipArray(WEIGHTS, stuck=mask)
    assert np.array_equal(array.off, np.where(mask, WEIGHTS, 0.0))
    values = np.where(mask, 7.0, np.nan)
    valued = ChipArray(WEIGHTS, stuck=values)
    assert np.array_equal(valued.weights, np.where(mask, 7.0, WEIGHTS))
    assert np.array_equal(valued.off, np.where(mask, 7.0, 0.0))
    assert np.array_equal(valued.stuck, mask)
    readings = RNG.normal(size=(2, 2, 3))
    drifting = ChipArray(readings=readings, seconds=np.arange(2.0), stuck=mask).at(0.0)
    assert np.array_equal(drifting.off, np.where(mask, readings[0], 0.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chip(()), "at least one array"),
        (ChipArray, "weights or readings are needed"),
        (lambda: ChipArray(WEIGHTS, readings=np.ones((1, 3, 2))), r"readings of \(2, 3\) cells, found \(3, 2\)"),
        (lambda: ChipArray(readings=np.ones((2, 1, 1)), seconds=np.array([1.0, 0.0])), "seconds must be >= 0 and asc"),
        (lambda: ChipArray(WEIGHTS, seconds=np.zeros(1)), "there are no readings"),
        (lambda: ChipArray(WEIGHTS, variance=-(WEIGHTS**2)), "variance must be >= 0, found .* at neuron 0, cell 0"),
        (lambda: ChipArray(WEIGHTS, bus=np.array([0, -1])), "bus must be >= 0, found -1 at neuron 1"),
        (lambda: ChipArray(WEIGHTS, stuck=np.ones((3, 2), bool)), "chip.stuck must have shape"),
        (lambda: Chip((TALL,), pairs="fixed"), "arrays must come in twos"),
        (lambda: Chip((TALL, TALL), pairs="free").hardware(), "free pairs make no weights until"),
        (lambda: CHIP.hardware([5]), "the chip has 5, found number 5"),
        (lambda: Hardware(WEIGHTS, neuron=np.array([4, 5]), origin=CHIP.origin()), "the chip has 5, found 5"),
        (lambda: Origin(scale=np.inf), "scale must be a finite number"),
        (lambda: TALL.at(0.0), "read once, at no known time"),
    ],
)
def test_what_makes_no_chip_is_refused(make: Callable[[], object], message: str) -> None:
    """Each rule in one sentence that names the field."""
    with pytest.raises(InvalidInstance, match=message):
        make()


def test_cells_that_can_be_written_keep_their_menus() -> None:
    """Scaled with the layer, nothing to write where another array says nothing, padded to the most levels."""
    levels = np.arange(12.0).reshape(2, 3, 2)
    written = ChipArray(WEIGHTS, others={"levels": levels, "level_variance": np.ones((2, 3, 2))})
    ranged = ChipArray(TALL.weights, others={"low": -np.ones((3, 2)), "high": np.ones((3, 2))})
    hardware = Chip((written, ranged)).hardware(scale=0.5)
    assert np.array_equal(hardware.levels[:2], levels * 0.5)
    assert np.array_equal(hardware.level_variance[:2], np.full((2, 3, 2), 0.25))
    assert np.isnan(hardware.levels[2:]).all() and np.isnan(hardware.low[:2]).all()
    assert np.array_equal(hardware.high[2:, :2], np.full((3, 2), 0.5)) and np.isnan(hardware.high[2:, 2]).all()
    assert np.array_equal(written.others["levels"], levels)
    for others, message in (({"lows": levels}, "'lows' is unknown"), ({"low": np.ones((3, 2))}, "of .2, 3. cells")):
        with pytest.raises(InvalidInstance, match=message):
            ChipArray(WEIGHTS, others=others)
