"""What pairs, drift and wires make of a chip's values, each against plain loops or the physics behind it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from matchopt import Hardware, LayerInstance, LayerMapping, OutputError, Target
from matchopt.errors import InvalidInstance
from matchopt.instances import Chip, ChipArray, Place
from matchopt.instances.differential import freed, paired
from matchopt.instances.drift import over_readings
from matchopt.instances.line_resistance import chip_behind_lines, hardware_behind_lines, line_factors

SECONDS = np.array([0.0, 1.0, 1.0, 1e3])


def array(seed: int, name: str, **more: object) -> ChipArray:
    """Four readings of 3 x 4 cells at three times."""
    rng = np.random.default_rng(seed)
    fields = {"readings": rng.normal(size=(4, 3, 4)), "seconds": SECONDS, "variance": rng.random((3, 4)), **more}
    return ChipArray(place=Place("chip.npz", name), **fields)  # type: ignore[arg-type]


def test_a_fixed_pair_is_a_difference() -> None:
    """Values and readings subtract, variances add, a stuck half shifts, two are a stuck pair; places name both."""
    rng = np.random.default_rng(0)
    masks = rng.random((4, 3, 4)) < 0.6
    plus = array(1, "plus", usable=masks[0], stuck=masks[2])
    minus = array(2, "minus", usable=masks[1], stuck=masks[3], off=0.1 * np.ones((3, 4)))
    (found,) = paired(Chip((plus, minus), "S", "fixed")).arrays
    for j in range(3):
        for k in range(4):
            assert found.weights[j, k] == plus.weights[j, k] - minus.weights[j, k]
            assert found.variance[j, k] == plus.variance[j, k] + minus.variance[j, k]
            assert found.usable[j, k] == (masks[0][j, k] and masks[1][j, k])
            assert found.stuck[j, k] == (masks[2][j, k] and masks[3][j, k])
            switched_off = [
                plus.weights[j, k] if masks[2][j, k] else 0.0,
                minus.weights[j, k] if masks[3][j, k] else 0.1,
            ]
            assert found.off[j, k] == pytest.approx(switched_off[0] - switched_off[1])
    assert found.readings is not None and plus.readings is not None and minus.readings is not None
    assert np.array_equal(found.readings, plus.readings - minus.readings)
    assert np.array_equal(found.at(0.0).weights, plus.at(0.0).weights - minus.at(0.0).weights)
    assert (found.place.file, found.place.array) == ("chip.npz", "plus - minus")


def test_pairs_that_do_not_fit_are_refused() -> None:
    """Other buses, other times, and pairs that nobody fixed."""
    plus, minus = array(1, "plus"), array(2, "minus")
    with pytest.raises(InvalidInstance, match="seconds must be the same for G"):
        paired(Chip((plus, minus.at(1e3)), "S", "fixed"))
    with pytest.raises(InvalidInstance, match="bus must be the same for G"):
        paired(Chip((plus, replace(minus, bus=np.zeros(3, np.int64))), "S", "fixed"))
    for others in ({"low": np.zeros((3, 4)), "high": np.ones((3, 4))}, {"input": np.zeros((3, 4), np.int64)}):
        with pytest.raises(InvalidInstance, match=r"is not subtracted|input must be the same"):
            paired(Chip((replace(plus, others=others), minus), "S", "fixed"))
    with pytest.raises(InvalidInstance, match="only fixed pairs are subtracted, found 'free'"):
        paired(Chip((plus, minus), "S", "free"))


@pytest.mark.parametrize("moments", [False, True])
def test_the_error_over_readings_is_their_mean(moments: bool) -> None:
    """With mean and variance over times, the objective of any mapping is the mean of its objectives at each time."""
    rng = np.random.default_rng(3)
    chip = Chip((array(4, "a"),))
    target = Target.from_dense(rng.normal(size=(3, 5)) * (rng.random((3, 5)) < 0.7))
    objective = OutputError(np.diag(rng.random(5))) if moments else LayerInstance(target, chip.hardware()).objective
    cells = np.arange(target.n_connections) - target.indptr[target.row_of]
    mapping = LayerMapping.from_cells(target, np.array([2, 0, 1]), cells % 4, rng.uniform(0.5, 2.0, 3))
    times = (0.0, 1.0, 1e3)
    values = [LayerInstance(target, chip.at(t).hardware(scale=2.0), objective=objective).value(mapping) for t in times]
    known = over_readings(chip, times)
    assert LayerInstance(target, known.hardware(scale=2.0), objective=objective).value(mapping) == pytest.approx(
        np.mean(values), rel=1e-12
    )
    assert not np.allclose(known.arrays[0].weights, chip.arrays[0].weights)


def test_one_reading_is_the_chip_of_that_time() -> None:
    """Known at one time only: weights and read noise of then; repetitions at that time are noise, with n - 1."""
    chip = Chip((array(4, "a", variance=None),))
    found = over_readings(chip, [1.0]).arrays[0]
    two = chip.arrays[0].readings[1:3]  # type: ignore[index]
    assert np.array_equal(found.weights, two.mean(axis=0))
    np.testing.assert_allclose(found.variance, two.var(axis=0, ddof=1))
    assert found.times == (1.0,)
    for times, message in (
        ([], "times, each once, are needed"),
        ([1.0, 1.0], "each once"),
        ([2.0], "no reading from 2"),
    ):
        with pytest.raises(InvalidInstance, match=message):
            over_readings(chip, times)


def currents(conductance: NDArray[np.float64], segment: float) -> NDArray[np.float64]:
    """Currents through all cells of a resistive grid with every line at 1 V, by Kirchhoff's equations of all nodes.

    Nodes (j, k) of the driven lines come first, then those of the neurons' own; segments have this resistance, one
    between the driver and neuron 0 and one between the last cell and virtual ground included.
    """
    neurons, cells = conductance.shape
    number = np.arange(neurons * cells).reshape(neurons, cells)
    count, wire = neurons * cells, 1.0 / segment
    equations, driven = np.zeros((2 * count, 2 * count)), np.zeros(2 * count)

    def connect(a: int, b: int | None, value: float, volts: float = 0.0) -> None:
        equations[a, a] += value
        if b is None:
            driven[a] += value * volts
            return
        equations[b, b] += value
        equations[a, b] -= value
        equations[b, a] -= value

    for j in range(neurons):
        for k in range(cells):
            line, own = number[j, k], number[j, k] + count
            connect(line, own, conductance[j, k])
            connect(line, None if j == 0 else number[j - 1, k], wire, 1.0)
            connect(own, None if k == cells - 1 else number[j, k + 1] + count, wire)
    volts = np.linalg.solve(equations, driven)
    return conductance * (volts[:count] - volts[count:]).reshape(neurons, cells)


@pytest.mark.parametrize("shape", [(4, 6), (7, 3), (1, 5)])
def test_line_factors_are_the_first_order_of_the_circuit(shape: tuple[int, int]) -> None:
    """Against the exact currents of the resistive grid the error falls with the square of the resistance."""
    errors = []
    for r in (1e-3, 1e-4):
        exact = currents(np.ones(shape), r)
        errors.append(np.abs(line_factors(*shape, r) - exact).max())
        assert errors[-1] < 0.6 * (1.0 - exact.min()) ** 2 + 1e-12
        plain = [[1 / (1 + r * (sum(shape[0] - s for s in range(j + 1)) + sum(s + 1 for s in range(k, shape[1]))))
                  for k in range(shape[1])] for j in range(shape[0])]  # fmt: skip
        np.testing.assert_allclose(line_factors(*shape, r), plain, rtol=1e-13)
    assert errors[1] < errors[0] / 50


def test_wires_take_their_share_of_everything() -> None:
    """Weights, leaks and readings by the factor, variances by its square; none without resistance."""
    chip = Chip((array(1, "a", off=0.1 * np.ones((3, 4))), array(2, "b")))
    found, f = chip_behind_lines(chip, 0.01), line_factors(3, 4, 0.01)
    for before, after in zip(chip.arrays, found.arrays, strict=True):
        np.testing.assert_allclose(after.weights, before.weights * f)
        np.testing.assert_allclose(after.variance, before.variance * f * f)
        np.testing.assert_allclose(after.off, before.off * f)
        np.testing.assert_allclose(after.at(0.0).weights, before.at(0.0).weights * f)
    levels, menu = np.array([[[1.0, 2.0, np.nan]] * 4] * 3), np.full((3, 4), np.nan)
    written = ChipArray(np.ones((3, 4)), others={"levels": levels, "write_variance": np.ones((3, 4)), "low": menu,
                                                 "high": menu, "input": np.full((3, 4), 2)})  # fmt: skip
    others = chip_behind_lines(Chip((written,)), 0.01).arrays[0].others
    np.testing.assert_allclose(others["levels"], levels * f[:, :, None])
    np.testing.assert_allclose(others["write_variance"], f**2)
    assert np.array_equal(others["input"], written.others["input"])
    part = chip.arrays[0]
    hardware = hardware_behind_lines(Hardware(part.weights, part.variance, off=part.off), 0.01)
    assert np.array_equal(hardware.weights, found.arrays[0].weights)
    assert np.array_equal(chip_behind_lines(chip, 0.0).arrays[1].weights, chip.arrays[1].weights)
    with pytest.raises(InvalidInstance, match="line_resistance must be"):
        line_factors(3, 4, -1.0)


def test_free_pairs_are_cells_of_both_signs() -> None:
    """Cells of G+ and then of G-, which count negative, with their faults and menus; places are where each was read."""
    rng = np.random.default_rng(0)
    masks, low = rng.random((4, 3, 4)) < 0.6, rng.normal(size=(2, 3, 4))
    menus = [{"low": part, "high": part + 1.0} for part in low]
    plus = array(1, "plus", usable=masks[0], stuck=masks[2], others=menus[0])
    minus = array(2, "minus", usable=masks[1], off=0.1 * np.ones((3, 4)), others=menus[1])
    minus = replace(minus, place=Place("chip.npz", "minus", row=5, column=2))
    chip = freed(Chip((plus, minus), "S", "free"))
    hardware = chip.hardware([2, 0], scale=2.0)
    for a, j in enumerate((2, 0)):
        for k in range(8):
            half, sign, column, at = (plus, 1.0, k, 0) if k < 4 else (minus, -1.0, k - 4, 1)
            assert hardware.weights[a, k] == 2.0 * sign * half.weights[j, column]
            assert hardware.off[a, k] == 2.0 * sign * half.off[j, column]
            assert hardware.variance[a, k] == 4.0 * half.variance[j, column]
            assert hardware.usable[a, k] == half.usable[j, column]
            ends = sorted(2.0 * sign * low[at][j, column] + np.array([0.0, 2.0 * sign]))
            assert [hardware.low[a, k], hardware.high[a, k]] == pytest.approx(ends)
            assert hardware.origin is not None
            found = hardware.origin.cell(j, k)
            assert (found.array, found.row, found.column) == (half.place.array, (0, 5)[at] + j, (0, 2)[at] + column)
    layer = LayerInstance(Target.from_dense(np.ones((2, 2))), hardware)
    again = LayerInstance.from_parts(layer.parts()).hardware.origin
    assert again == hardware.origin and "first_cell" not in str(Chip((plus,)).hardware().origin.facts())  # type: ignore[union-attr]
    assert np.array_equal(chip.at(1.0).arrays[0].weights[:, 4:], -minus.at(1.0).weights)


def test_a_cut_of_free_pairs_keeps_both_halves() -> None:
    """Of three cells two are of G+ and one of G-, each where it was read; halves may be of different widths."""
    plus, minus = array(1, "plus"), ChipArray(np.arange(15.0).reshape(3, 5), Place("x", "minus"), seconds=None)
    plus = ChipArray(plus.weights, Place("x", "plus"))
    chip = freed(Chip((plus, minus), "", "free"))
    cut = chip.hardware(cells=3)
    assert np.array_equal(cut.weights, np.column_stack([plus.weights[:, :2], -minus.weights[:, :1]]))
    assert cut.origin is not None
    assert [(at.array, at.column) for at in (cut.origin.cell(1, k) for k in range(3))] == [
        ("plus", 0), ("plus", 1), ("minus", 0),
    ]  # fmt: skip
    assert chip.hardware(cells=9).n_cells == chip.n_cells == 9
    swapped = freed(Chip((minus, plus), "", "free")).hardware(cells=9)  # 5 and 4: of 9 all, of 8 four each
    assert swapped.usable.all()
    narrow = ChipArray(plus.weights[:, :1], Place("x", "plus"))
    for first, second in ((narrow, minus), (minus, narrow)):
        cut = freed(Chip((first, second), "", "free")).hardware(cells=4)
        wanted = [1, 3] if first is narrow else [3, 1]
        parts = [sign * half.weights[:, :n] for sign, half, n in zip((1, -1), (first, second), wanted, strict=True)]
        assert np.array_equal(cut.weights, np.column_stack(parts)) and cut.usable.all()
    with pytest.raises(InvalidInstance, match="only free pairs are joined, found 'fixed'"):
        freed(Chip((plus, plus), "", "fixed"))
    with pytest.raises(InvalidInstance, match="bus must be the same"):
        freed(Chip((plus, ChipArray(np.ones((2, 5)))), "", "free"))
