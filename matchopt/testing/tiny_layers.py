"""Tiny layers: each rule alone, then together, with free routing and with shared buses."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from matchopt.instances import Gains, Hardware, LayerInstance, OutputError, Rules, Target, WeightError

TWO = [[0, 1], [1, 2]]  # the inputs of two rows, one of them shared
CORRELATED = OutputError(np.array([[2, 1, 0], [1, 2, 1], [0, 1, 2.0]]))
SIEMENS = 1e-5  # typical conductance: squared errors are then near 1e-10, which an absolute tolerance swallows


def tiny_layers() -> Mapping[str, LayerInstance]:
    """All tiny layers by name."""
    return {
        f"layer-{name}": instance
        for name, instance in {
            **_free(),
            **_ruled(),
            **_judged(),
            **_shared(),
            **_parts(),
            **_written(),
            **_wired(),
            **_infeasible(),
        }.items()
    }


def _layer(
    seed: int, supports: list[list[int]], neurons: int, cells: int, *, n_inputs: int = 3, **changes: Any
) -> LayerInstance:
    """A random layer: row i listens to supports[i]; `changes` replace fields of target, hardware or instance."""
    rng = np.random.default_rng(seed)
    indptr = np.cumsum([0] + [len(support) for support in supports])
    indices = np.array([x for support in supports for x in support], np.int64)
    weights = changes.pop("targets", rng.normal(size=len(indices)))
    drawn = changes.pop("weights", rng.normal(size=(neurons, cells)))
    target = Target(indptr, indices, np.asarray(weights, float), n_inputs, changes.pop("importance", None))
    names = [field for field in Hardware.__dataclass_fields__ if field in changes]
    physical = {name: changes.pop(name) for name in names}
    hardware = Hardware(np.asarray(drawn, float), **physical)
    objective = changes.pop("objective", WeightError())
    return LayerInstance(target, hardware, Rules(**changes), objective)


def _free() -> dict[str, LayerInstance]:
    two, rng = TWO, np.random.default_rng(30)
    siemens: dict[str, Any] = {"targets": rng.normal(size=4) * SIEMENS, "weights": rng.normal(size=(3, 3)) * SIEMENS}
    return {
        "1x1": _layer(1, [[0]], 1, 1, n_inputs=1),
        "no-rows": _layer(2, [], 2, 2),
        "nothing-at-all": _layer(2, [], 0, 0, n_inputs=0),
        "no-connections": _layer(3, [[], []], 3, 2),
        "one-row": _layer(4, [[0, 2]], 3, 3),
        "tight": _layer(5, two, 2, 2),
        "spare": _layer(6, two, 3, 3),
        "three-rows": _layer(7, [[0, 1], [2], [0, 1, 2]], 4, 3),
        "uneven-fan-in": _layer(8, [[0, 1, 2], []], 3, 4),
        "ties": _layer(9, two, 3, 3, targets=[1, -1, 1, 1], weights=[[1, -1, 1], [1, 1, -1], [-1, -1, 1]]),
        "zero-weights": _layer(10, two, 3, 3, targets=[0.0, 1.0, 0.0, 0.0]),
        "lossless": _layer(11, two, 3, 2, targets=[1, 2, 3, 4], weights=[[4, 3], [9, 9], [2, 1]]),
        "siemens": _layer(12, two, 3, 3, **siemens),
        "outlier": _layer(13, two, 3, 3, targets=[30.0, 0.1, -0.2, 0.3]),
        "unusable": _layer(14, two, 3, 3, usable=[[True, True, False], [True, True, True], [False, True, True]]),
        "forced-neuron": _layer(15, [[0, 1], [2]], 2, 2, usable=[[True, False], [True, True]]),
        "noise": _layer(16, two, 3, 3, variance=rng.random((3, 3))),
        "importance-by-row": _layer(17, two, 3, 3, importance=[5.0, 5.0, 0.5, 0.5]),
        "importance": _layer(18, [[0, 1], [0, 2]], 3, 3, importance=[9.0, 0.1, 0.2, 6.0]),
        "importance-zero": _layer(19, two, 3, 3, importance=[0.0, 1.0, 0.0, 0.0]),
        "importance-noise": _layer(20, two, 3, 3, importance=[4.0, 0.1, 0.0, 2.0], variance=rng.random((3, 3))),
    }


def _ruled() -> dict[str, LayerInstance]:
    two, rng = TWO, np.random.default_rng(31)
    mixed = rng.normal(size=(3, 3))
    moments = OutputError(mixed @ mixed.T)
    free: dict[str, Any] = {"cells_per_weight": 2, "drop": True, "gains": Gains.finite(1.0, 2.0), "tunable": 1}
    return {
        "drop": _layer(40, two, 3, 3, drop=True),
        "drop-short": _layer(41, [[0, 1, 2], [0, 2]], 3, 1, drop=True),
        "drop-noise": _layer(42, two, 3, 3, drop=True, variance=rng.random((3, 3))),
        "extra-inputs": _layer(43, [[0], [1]], 3, 3, extra_inputs=True),
        "extra-inputs-drop": _layer(44, [[0], [1]], 2, 2, extra_inputs=True, drop=True),
        "two-cells": _layer(45, two, 2, 4, cells_per_weight=2),
        "two-cells-noise": _layer(46, [[0, 1]], 2, 4, cells_per_weight=2, variance=rng.random((2, 4)) * 0.2),
        "gains": _layer(47, two, 3, 3, gains=Gains.finite(0.5, 1.0, 2.0)),
        "gains-signed": _layer(48, two, 3, 3, gains=Gains.finite(-1.5, 0.75), variance=rng.random((3, 3)) * 0.1),
        "gain-fixed-half": _layer(49, two, 3, 3, gains=Gains.finite(0.5)),
        "gain-interval": _layer(50, two, 3, 3, gains=Gains.interval(0.25, 4.0)),
        "gain-interval-noise": _layer(51, two, 3, 3, gains=Gains.interval(-2.0, 2.0), variance=rng.random((3, 3))),
        "tunable": _layer(52, two, 3, 2, tunable=1),
        "tunable-saves": _layer(53, [[0, 1, 2], [1]], 2, 2, tunable=1),
        "tunable-all": _layer(54, two, 2, 1, tunable=9),
        "output-error": _layer(55, two, 3, 3, objective=moments),
        "output-error-noise": _layer(56, two, 3, 3, objective=moments, variance=rng.random((3, 3)), drop=True),
        "output-error-tunable": _layer(59, two, 3, 2, objective=moments, tunable=1),
        "output-error-diagonal": _layer(57, two, 3, 3, objective=OutputError(np.diag([2.0, 0.0, 0.5]))),
        "everything-free": _layer(
            58, [[0], [1, 2]], 3, 3, variance=rng.random((3, 3)) * 0.1, importance=[2.0, 1.0, 0.5], **free
        ),
    }


def _judged() -> dict[str, LayerInstance]:
    """Correlated inputs, together with what else a freely routed layer may have."""
    usable = [[True, True, False], [True, True, True], [False, True, True]]
    chip: dict[str, Any] = {"off": np.full((3, 3), 0.5), "usable": usable, "importance": [9.0, 0.1, 0.2, 6.0]}
    gains = Gains.finite(0.5, -1.0)
    return {"output-error-gains": _layer(73, TWO, 3, 3, objective=CORRELATED, gains=gains, **chip)}


def _shared() -> dict[str, LayerInstance]:
    two, rng = TWO, np.random.default_rng(32)
    crossbar, pairs = [0, 0, 0], [0, 0, 1, 1]
    off, usable = [[0, 0.9, 0], [0, 0, 0], [0.7, 0, 0]], [[True, False, True], [True, True, True], [False, True, True]]
    return {
        "crossbar": _layer(60, two, 3, 3, bus=crossbar),
        "crossbar-same-support": _layer(61, [[0, 1], [0, 1]], 3, 3, bus=crossbar),
        "bus-pairs": _layer(62, two, 4, 3, bus=pairs),
        "bus-gaps": _layer(63, two, 3, 3, bus=[7, 2, 7]),
        "crossbar-leak": _layer(64, two, 3, 3, bus=crossbar, off=rng.normal(size=(3, 3)) * 0.3),
        "crossbar-stuck": _layer(65, two, 3, 3, bus=crossbar, off=off, usable=usable),
        "free-leak": _layer(66, two, 3, 3, off=rng.normal(size=(3, 3))),
        "crossbar-drop": _layer(67, two, 3, 2, bus=crossbar, drop=True, off=rng.normal(size=(3, 2)) * 0.3),
        "crossbar-two-cells": _layer(68, [[0], [0, 1]], 2, 3, n_inputs=2, bus=[0, 0], cells_per_weight=2),
        "crossbar-gains": _layer(
            69, two, 3, 3, bus=crossbar, gains=Gains.finite(0.5, 1.0), variance=rng.random((3, 3))
        ),
        "crossbar-gain-interval": _layer(72, two, 3, 3, bus=crossbar, gains=Gains.interval(0.5, 2.0)),
        "crossbar-tunable": _layer(70, two, 2, 2, bus=[0, 0], tunable=1),
        "crossbar-output-error": _layer(71, two, 3, 3, bus=crossbar, objective=CORRELATED),
    }


def _parts() -> dict[str, LayerInstance]:
    """Several hardware neurons per row: parts whose outputs add, and copies."""
    rng, wide = np.random.default_rng(33), [[0, 1, 2], [0, 2]]
    split: dict[str, Any] = {"neurons_per_row": 2}
    noisy: dict[str, Any] = {"variance": rng.random((4, 2)) * 0.1, "usable": [[True, False]] + [[True, True]] * 3}
    leaky: dict[str, Any] = {"bus": [0, 0, 0], "off": rng.normal(size=(3, 2)) * 0.3}
    return {
        "split": _layer(90, wide, 4, 2, **split),
        "split-one-neuron-each": _layer(91, TWO, 2, 2, **split),
        "split-noise": _layer(92, wide, 4, 2, **split, **noisy, importance=[9.0, 0.1, 0.2, 1.0, 6.0]),
        "split-drop-gains": _layer(93, [[0, 1, 2]], 2, 1, **split, drop=True, gains=Gains.finite(-1.0, 1.0, 0.5)),
        "split-two-cells": _layer(94, [[0], [0, 1]], 3, 2, **split, cells_per_weight=2),
        "split-gain-interval": _layer(95, [[0, 1, 2]], 2, 2, **split, gains=Gains.interval(0.5, 2.0)),
        "split-tunable": _layer(96, wide, 3, 1, **split, tunable=2),
        "split-output-error": _layer(97, wide, 4, 2, **split, objective=CORRELATED),
        "split-bus-pairs": _layer(98, TWO, 4, 2, **split, bus=[0, 0, 1, 1]),
        "split-crossbar-leak": _layer(99, [[0, 1], [1]], 3, 2, **split, **leaky),
        "copies": _layer(100, TWO, 4, 2, copies=2),
        "copies-three": _layer(101, [[0]], 3, 2, copies=3),
        "copies-noise-drop": _layer(102, TWO, 4, 2, copies=2, drop=True, **noisy),
        "copies-gains": _layer(103, [[0, 2]], 3, 2, copies=2, gains=Gains.finite(1.0, -0.5), importance=[5.0, 0.5]),
        "copies-gain-interval": _layer(104, [[0, 2]], 2, 2, copies=2, gains=Gains.interval(0.5, 2.0)),
        "copies-tunable": _layer(105, TWO, 3, 2, copies=2, tunable=1),
        "copies-output-error": _layer(106, [[0, 1]], 3, 2, copies=2, objective=CORRELATED),
        "copies-crossbar-leak": _layer(107, [[0], [1]], 3, 2, copies=2, **leaky),
    }


def _written() -> dict[str, LayerInstance]:
    """Cells that can be written: in a range, to levels, some of them, so many of them, and on shared lines."""
    two, rng, nan = TWO, np.random.default_rng(33), np.nan
    wide: dict[str, Any] = {"low": np.full((3, 3), -0.5), "high": np.full((3, 3), 0.5)}
    some = np.array([[nan, -1.0, 0.0], [-0.2, nan, -1.0], [nan, 0.1, -0.3]])
    ranges: dict[str, Any] = {
        "low": some,
        "high": some + np.array([0.4, 2.0, 0.0]),
        "write_variance": rng.random((3, 3)) / 50,
    }
    steps = np.where(rng.random((3, 3, 3)) < 0.3, nan, rng.normal(size=(3, 3, 3)))
    levels: dict[str, Any] = {"levels": steps, "level_variance": rng.random((3, 3, 3)) / 20}
    noisy, one = rng.random((3, 3)) / 10, steps[:2, :2, :1]
    on_one_bus: dict[str, Any] = {"bus": [0, 0], "levels": one, "off": [[0.9, 0.0], [0.0, 0.7]], "extra_inputs": True}
    return {
        "written-range": _layer(110, two, 3, 3, **wide),
        "written-some": _layer(111, two, 3, 3, variance=noisy, **ranges),
        "written-levels": _layer(112, two, 3, 3, **levels),
        "written-drop": _layer(
            113, [[0, 1, 2], [0, 2]], 3, 2, drop=True, levels=steps[:, :2], importance=[1, 4, 9, 1, 2]
        ),
        "written-gains": _layer(114, two, 3, 3, gains=Gains.finite(-1.0, 0.5), variance=noisy, **ranges),
        "writes-none": _layer(115, two, 3, 3, writes=0, **wide),
        "writes-one": _layer(116, two, 3, 3, writes=1, variance=noisy, **ranges),
        "writes-two-levels": _layer(117, [[0, 1, 2], [0, 2]], 3, 3, writes=2, importance=[1, 4, 9, 1, 2], **levels),
        "writes-drop": _layer(118, [[0, 1, 2], [0, 2]], 3, 2, writes=1, drop=True, levels=steps[:, :2]),
        "writes-fixed-cells": _layer(119, two, 3, 3, writes=1),
        "written-two-cells": _layer(120, [[0, 1]], 2, 3, cells_per_weight=2, levels=steps[:2, :, :1], writes=1),
        "written-output-error": _layer(121, two, 2, 2, objective=CORRELATED, levels=one),
        "crossbar-written": _layer(122, two, 3, 3, bus=[0, 0, 0], **ranges),
        "crossbar-written-stuck": _layer(123, [[0], [0, 1]], 2, 2, n_inputs=2, **on_one_bus),
        "crossbar-writes": _layer(124, two, 3, 3, bus=[0, 0, 0], writes=1, **wide),
    }


def _wired() -> dict[str, LayerInstance]:
    """Cells that can only listen to one input."""
    two, rng = TWO, np.random.default_rng(34)
    own = np.tile([0, 1, 1, 2], (3, 1))  # two cells on the input that both rows have
    mixed = [[0, -1, 2], [-1, 1, 1], [0, 0, -1]]
    stuck: dict[str, Any] = {
        "off": rng.normal(size=(3, 4)) * (rng.random((3, 4)) < 0.4),
        "usable": [[True, True, False, True], [True, False, True, True], [True, True, True, True]],
    }
    several: dict[str, Any] = {"input": np.tile([0, 0, 0, 1, 1], (2, 1)), "n_inputs": 2}
    leaky: dict[str, Any] = {"input": own[:2], "off": rng.normal(size=(2, 4)) * 0.3}
    several_leaky: dict[str, Any] = {"input": own, "off": rng.normal(size=(3, 4)) * 0.3}
    interval = Gains.interval(0.5, 2.0)
    return {
        "hard-wired": _layer(220, two, 3, 4, input=own),
        "hard-wired-drop-stuck": _layer(221, two, 3, 4, input=own, drop=True, **stuck),
        "hard-wired-mixed": _layer(222, two, 3, 3, input=mixed, off=rng.normal(size=(3, 3)) * 0.3, drop=True),
        "hard-wired-sums": _layer(223, [[0, 1], [1]], 2, 5, cells_per_weight=3, **several),
        "hard-wired-sums-everything": _layer(
            194, [[0, 1], [1]], 2, 5, cells_per_weight=2, drop=True, gains=Gains.finite(0.5, -1.0),
            importance=[2.0, 1.0, 0.5], variance=rng.random((2, 5)) * 0.2, off=rng.normal(size=(2, 5)) * 0.3, **several,
        ),
        "hard-wired-extra-inputs": _layer(225, [[0], [1]], 2, 4, extra_inputs=True, **leaky),
        "hard-wired-tunable": _layer(226, two, 2, 4, tunable=1, **leaky),
        "hard-wired-gain-interval": _layer(227, two, 2, 4, gains=interval, cells_per_weight=2, **leaky),
        "hard-wired-output-error": _layer(228, two, 2, 4, objective=CORRELATED, **leaky),
        "hard-wired-bus": _layer(229, two, 3, 4, input=own, bus=[0, 0, 0], off=rng.normal(size=(3, 4)) * 0.3),
        "hard-wired-bus-mixed": _layer(
            200, two, 3, 4, input=np.tile([0, -1, 1, -1], (3, 1)), bus=[0, 1, 0], off=rng.normal(size=(3, 4)) * 0.3
        ),
        "hard-wired-split": _layer(250, [[0, 1], [1]], 3, 4, neurons_per_row=2, **several_leaky),
        "hard-wired-copies": _layer(251, [[0, 1], [1]], 3, 4, copies=2, **several_leaky),
        "hard-wired-nothing-there": _layer(231, two, 2, 4, input=np.tile([0, 0, 2, 2], (2, 1))),
    }  # fmt: skip


def _infeasible() -> dict[str, LayerInstance]:
    yes, no = True, False
    return {
        "too-few-cells": _layer(80, [[0, 1, 2], [0]], 3, 2),
        "too-few-usable": _layer(81, [[0, 1], [1]], 2, 3, usable=[[yes, no, no], [no, no, yes]]),
        "hall": _layer(82, [[0, 1], [1, 2], [0]], 3, 2, usable=[[yes, yes], [yes, no], [no, yes]]),
        "crossbar-too-many-inputs": _layer(83, [[0, 1], [1, 2]], 2, 2, bus=[0, 0]),
        "split-too-wide": _layer(85, [[0, 1, 2], [0]], 3, 1, neurons_per_row=2),
        "split-too-few": _layer(
            86, [[0, 1, 2], [0, 1]], 3, 2, neurons_per_row=2, usable=[[yes, yes], [yes, no], [yes, no]]
        ),
        "tunable-too-few": _layer(84, [[0, 1, 2], [0, 1, 2]], 2, 2, tunable=1),
    }
