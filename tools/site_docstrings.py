"""For the documentation site: the house's numpydoc, where text follows a parameter's colon at once, as Markdown."""

import re
from textwrap import dedent

from griffe import Extension

SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Examples", "References", "Notes")


class HouseDocstrings(Extension):
    """Rewrites every docstring once all are loaded."""

    def on_package(self, *, pkg, **kwargs):
        """See griffe."""
        seen = set()
        todo = [pkg]
        while todo:
            obj = todo.pop()
            if obj.is_alias or id(obj) in seen:
                continue
            seen.add(id(obj))
            if obj.docstring:
                obj.docstring.value = markdown(obj.docstring.value)
            todo += obj.members.values()


def markdown(text: str) -> str:
    """A docstring as Markdown."""
    lines, out, at = text.splitlines(), [], 0
    while at < len(lines):
        section = lines[at].strip()
        if section in SECTIONS and at + 1 < len(lines) and re.fullmatch(r"\s*-{3,}\s*", lines[at + 1]):
            end = next((n - 1 for n in range(at + 3, len(lines)) if re.fullmatch(r"\s*-{3,}\s*", lines[n])), len(lines))
            body = dedent("\n".join(lines[at + 2 : end])).strip("\n")
            out += ["", f"**{section}**", "", _section(section, body), ""]
            at = end
        else:
            out.append(_plain(lines[at]))
            at += 1
    return "\n".join(out)


def _section(section: str, body: str) -> str:
    if section == "Examples":
        return re.sub(r"((?:^(?:>>> |\.\.\. |[^\s>]).*\n?)+)", _example, body, flags=re.M)
    if section in ("References", "Notes"):
        return _plain(body)
    items: list[str] = []
    for line in body.splitlines():
        if line and not line.startswith(" "):
            name, colon, about = line.partition(" : ")
            names = ", ".join(f"`{each.strip()}`" for each in name.split(","))
            items.append(f"- {names}: {_plain(about)}" if colon else f"- {names}:")
        elif items:
            items[-1] += f" {_plain(line.strip())}"
    return "\n".join(items)


def _example(match: re.Match) -> str:
    block = match[0].rstrip("\n")
    return f"```python\n{block}\n```\n" if ">>>" in block else _plain(match[0])


def _plain(text: str) -> str:
    """Prose in which only backticks mean anything."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([\[\]*_<])", r"\\\1", p) for p in parts)
