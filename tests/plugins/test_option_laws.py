"""Laws of every option of every registered solver and trainer, generated from annotations.

Their own checks are not asked: what lies outside a range is tried from the annotation's bounds, from Python, from text
and from the settings of a study.
"""

import functools
import math
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt

from matchopt.errors import InvalidOption
from matchopt.grid.task import Place
from matchopt.plugins import load_plugins
from matchopt.settings import make, option_values, options_of
from matchopt.settings.kinds import fields_of
from matchopt.study import read_study
from matchopt.study.engine import task_of

REGISTRY = load_plugins()
CLASSES = [entry.cls for entry in (*REGISTRY.solvers.values(), *REGISTRY.trainers.values())]
IDS = [f"{cls.noun} {cls.name}" for cls in CLASSES]
# Options that belong together: at an edge of one the others have to follow.
TOGETHER = {
    ("gradual-pruning", "begin"): {"end": 1.0},
    ("gradual-pruning", "end"): {"begin": 0.0},
    ("slot-machines", "epochs"): {"finetune_epochs": 1},
}


def numeric(hint: Any, bounds: tuple[Any, ...] = ()) -> list[tuple[type, tuple[Any, ...]]]:
    """The number types in an annotation with their bounds, those of items included; a plain second reading of it."""
    if get_origin(hint) is Annotated:
        inner, *rules = get_args(hint)
        flat = [rule for group in rules for rule in (group if isinstance(group, GroupedMetadata) else [group])]
        return numeric(inner, (*bounds, *(rule for rule in flat if isinstance(rule, Ge | Gt | Le | Lt))))
    if hint in (int, float):
        return [(hint, bounds)]
    return [found for inner in get_args(hint) if not isinstance(inner, str | int) for found in numeric(inner, bounds)]


def edges(base: type, bounds: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
    """Values just inside and just outside each bound."""
    inside, outside = [], []
    for bound in bounds:
        (limit,) = (getattr(bound, side) for side in ("ge", "gt", "le", "lt") if hasattr(bound, side))
        way = -1 if isinstance(bound, Ge | Gt) else 1
        beyond = limit + way if base is int else math.nextafter(limit, way * math.inf)
        within = limit - way if base is int else math.nextafter(limit, -way * math.inf)
        closed = isinstance(bound, Ge | Le)
        inside.append(base(limit) if closed else within)
        outside.append(beyond if closed else base(limit))
    far = [math.nan, math.inf, -math.inf] if base is float else [0.5, 10**400]
    return inside, [*outside, *far, True]


def cases() -> list[Any]:
    """Every numeric option of every class, with values for it."""
    found = []
    for cls in CLASSES:
        for name, field in fields_of(cls).items():
            for base, bounds in numeric(field.hint):
                found.append(pytest.param(cls, name, base, bounds, id=f"{cls.name}-{name}"))
    return found


@pytest.mark.parametrize("cls", CLASSES, ids=IDS)
def test_every_option_is_explained(cls):
    """Its docstring says what each means, and the listing shows the range of whatever is a number."""
    for option in options_of(cls):
        assert option.doc, f"{option.name} has no meaning in the docstring"
        if numeric(fields_of(cls)[option.name].hint):
            assert option.range, f"{option.name} is a number without a range"


@pytest.mark.parametrize("cls", CLASSES, ids=IDS)
def test_defaults_fit_their_own_annotation(cls):
    """Given again, from Python and as text, every default is taken, and stays what it is."""
    default = cls()
    values = option_values(default)
    for given in (values, {name: _typed(value) for name, value in values.items()}):
        again = option_values(make(cls, given))
        assert again == values
        assert [type(value) for value in again.values()] == [type(value) for value in values.values()]
    assert cls(**values) == default


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(("cls", "name", "base", "bounds"), cases())
def test_ranges_hold_to_the_last_digit(tmp_path, cls, name, base, bounds):
    """Every value just outside is refused by name, however it is given; every value at the edge is taken."""
    several = get_origin(fields_of(cls)[name].hint) is tuple
    inside, outside = edges(base, bounds)
    for value in inside:
        given = (value,) if several else value
        more = TOGETHER.get((cls.name, name), {})
        assert getattr(cls(**{name: given}, **more), name) == given
        assert getattr(make(cls, {name: _typed(given), **more}), name) == given
        _in_a_study(tmp_path, cls, name, given)
    for value in outside:
        given = (value,) if several else value
        texts = [] if value is True else [_typed(given)]  # the word True may be one of an option's choices
        build = cls if type(value) is base else functools.partial(_past_type_checks, cls)
        attempts = [functools.partial(build, **{name: given})]
        attempts += [functools.partial(make, cls, {name: one}) for one in (given, *texts)]
        attempts += [functools.partial(_in_a_study, tmp_path, cls, name, given)]
        for attempt in attempts:
            with pytest.raises(
                InvalidOption, match=rf"^{cls.noun} {cls.name}: {name}(\.0)? must be .*, found "
            ) as told:
                attempt()
            assert len(str(told.value)) < 250 and "\n" not in str(told.value)


def _past_type_checks(cls: Any, **given: Any) -> Any:
    """What the class's `__init__` does, without the checks of types that only tests put around it."""
    made = object.__new__(cls)
    vars(made).update(option_values(cls()) | given)
    made.__post_init__()
    return made


def _in_a_study(folder: Path, cls: Any, name: str, value: Any) -> None:
    """Make the task of a study file in which the option has this value."""
    kind, what = ("training", "method") if cls.noun == "trainer" else ("mapping", "solver")
    words = ", ".join(map(_toml, value)) if isinstance(value, tuple) else _toml(value)
    words = f"[{words}]" if isinstance(value, tuple) else words
    text = f'title = "t"\nkind = "{kind}"\nby = ["x"]\nshow = ["y"]\n[[runs]]\n'
    (folder / "study.toml").write_text(f'{text}set = {{ {what} = "{cls.name}", "options.{name}" = {words} }}\n')
    study = read_study(folder / "study.toml")
    task_of(study, study.runs["cpu"][0], Place(folder, "cpu", ()))


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_law_sees_options():
    """It is not empty by a mistake of its own."""
    assert len(cases()) > 100
