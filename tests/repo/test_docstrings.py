"""Public methods are explained: where they are defined, or by the method that they override."""

import importlib
import inspect
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def modules() -> list[str]:
    """Names of all modules but those that run when imported."""
    roots = [(ROOT, "matchopt"), *((ROOT / "plugins", path.name) for path in (ROOT / "plugins").iterdir())]
    paths = [path.relative_to(base).with_suffix("") for base, root in roots for path in (base / root).rglob("*.py")]
    return [".".join(part for part in path.parts if part != "__init__") for path in paths if path.name != "__main__"]


def explained(member: Any) -> bool:
    """Whether a member of a class has a docstring of its own; what is no method needs none."""
    for wrapper, inside in ((property, "fget"), (cached_property, "func"), (classmethod, "__func__")):
        if isinstance(member, wrapper):
            member = getattr(member, inside)
    member = member.__func__ if isinstance(member, staticmethod) else member
    is_method = inspect.isfunction(member) and member.__name__ != "<lambda>"  # a default of a field may be one
    return bool(member.__doc__) or not is_method


def unexplained(cls: type) -> list[str]:
    """Public methods of a class that neither it nor a base explains."""
    ours = [name for name in vars(cls) if not name.startswith("_")]
    return [n for n in ours if not any(explained(vars(base)[n]) for base in cls.__mro__ if n in vars(base))]


def test_every_public_method_is_explained_where_it_is_first_said() -> None:
    """An override that says nothing new says nothing: `help` shows what the method of the base promises."""
    found, missing = 0, []
    for name in modules():
        for cls in vars(importlib.import_module(name)).values():
            if inspect.isclass(cls) and cls.__module__ == name and not cls.__name__.startswith("_"):
                found += 1
                missing += [f"{name}.{cls.__name__}.{method}" for method in unexplained(cls)]
    assert found > 300
    assert missing == []


def test_the_law_finds_a_method_without_words() -> None:
    """Neither a base nor the class explains it; an override of an explained method is fine."""

    class Base:
        def told(self) -> None:
            """Told."""

        @property
        def silent(self) -> int:
            return 0

    class Child(Base):
        def told(self) -> None:
            pass

        def new(self) -> None:
            pass

    assert unexplained(Child) == ["new"] and unexplained(Base) == ["silent"]
