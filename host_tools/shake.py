"""Leaves out of a bundle's modules what none of them mentions: a board's heap pays for every name and function.

A top-level function, class or constant, or a method, goes when its name stands nowhere else in the bundle: not
as a name, an attribute, an import, a keyword or a word in a string. That is cautious (an equal name anywhere
keeps it) and needs no knowledge of types. Public constants that only their own module mentions become private,
so that the compiler puts the number in their place and drops the name. What remains gets short names where
nobody outside can tell. Lines keep their numbers.
"""

from __future__ import annotations

import ast
import builtins
import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign
#: A call to one of these has no effect but its value.
_PURE = {"const", "bytes", "array"}
#: Where modules get `const` from, so that they run under CPython, too.
CONST = "firmware.protocols.compat"


class _Part(NamedTuple):
    name: str
    node: Definition
    first: int  # lines, the decorators' too
    last: int
    owner: ast.ClassDef | None


def mentions(node: ast.AST) -> Counter[str]:
    """How often each word stands in a tree where it may mean something that is defined elsewhere."""
    found: Counter[str] = Counter()
    for n in ast.walk(node):
        if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Store):
            found[n.id] += 1
        elif isinstance(n, ast.Attribute):
            found[n.attr] += 1
        elif isinstance(n, ast.alias):
            found.update(n.name.split("."))
        elif isinstance(n, ast.keyword) and n.arg:
            found[n.arg] += 1
        elif isinstance(n, ast.Constant) and isinstance(n.value, str):
            found.update(w for w in n.value.replace(".", " ").split() if w.isidentifier())
        elif isinstance(n, ast.Global):
            found.update(n.names)
    return found


def _pure(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _PURE
    return isinstance(value, (ast.Constant, ast.UnaryOp, ast.BinOp, ast.Tuple, ast.List, ast.Dict, ast.Set))


def _parts(tree: ast.Module) -> Iterator[_Part]:
    """What may be left out of a module."""

    def part(node: Definition, name: str, owner: ast.ClassDef | None) -> _Part:
        lines = [node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]
        return _Part(name, node, min(lines), node.end_lineno or node.lineno, owner)

    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield part(node, node.name, None)
        elif isinstance(node, ast.Assign) and _pure(node.value) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name):
                yield part(node, target.id, None)
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield part(method, method.name, node)


class _Seen(NamedTuple):
    tree: ast.Module
    words: Counter[str]
    parts: list[tuple[_Part, int]]  # with how often each mentions itself


@functools.lru_cache(maxsize=512)
def _seen(text: str) -> _Seen:
    """What a text holds. Boards of a kind have equal modules, and one round changes few."""
    tree = ast.parse(text)
    parts = [(p, mentions(p.node)[p.name]) for p in _parts(tree) if not p.name.startswith("__")]
    return _Seen(tree, mentions(tree), parts)


def _without(text: str, parts: list[_Part]) -> str:
    lines = text.splitlines()
    for part in parts:
        indent = " " * part.node.col_offset
        # What holds nothing else must still hold something.
        filler = indent + "pass" if part.owner is not None else ""
        lines[part.first - 1 : part.last] = [filler] + [""] * (part.last - part.first)
    return "\n".join(lines) + "\n"


_Spot = tuple[int, int, str, str]  # line, column in bytes, what stands there, what shall


def _replaced(text: str, spots: set[_Spot]) -> str:
    """The text with each spot's old word replaced by the new one."""
    lines = [line.encode() for line in text.splitlines()]
    for line, column, old, new in sorted(spots, reverse=True):
        row = lines[line - 1]
        lines[line - 1] = row[:column] + new.encode() + row[column + len(old.encode()) :]
    return b"\n".join(lines).decode() + "\n"


def _names(tree: ast.AST, new: Mapping[str, str]) -> set[_Spot]:
    """Spots of plain names that shall be called otherwise."""
    return {
        (n.lineno, n.col_offset, n.id, new[n.id])
        for n in ast.walk(tree)
        if isinstance(n, ast.Name) and n.id in new
    }


def _const(node: ast.AST) -> ast.expr | None:
    """The value of `NAME = const(value)`, which the compiler works out itself; None for any other statement."""
    if (
        not isinstance(node, ast.Assign)
        or len(node.targets) != 1
        or not isinstance(node.targets[0], ast.Name)
    ):
        return None
    call = node.value
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "const":
        return call.args[0]
    return None


def _private(text: str, tree: ast.Module, elsewhere: Counter[str]) -> str:
    """The text with an underscore before public constants that nobody else mentions."""
    used = mentions(tree)
    names = {
        part.name: "_" + part.name
        for part in _parts(tree)
        if _const(part.node) is not None
        and not part.name.startswith("_")
        and not elsewhere[part.name]
        and not used["_" + part.name]
    }
    return _replaced(text, _names(tree, names))


def _from(text: str, tree: ast.Module, gone: Mapping[tuple[str, str], object]) -> str:
    """The text without the imports of the (module, name)s in `gone`; lines keep their numbers."""
    lines = text.splitlines()
    for n in ast.walk(tree):
        if not isinstance(n, ast.ImportFrom):
            continue
        left = [ast.unparse(a) for a in n.names if (n.module or "", a.name) not in gone]
        if len(left) < len(n.names):
            end = n.end_lineno or n.lineno
            new = f"from {n.module} import {', '.join(left)}" if left else "pass"
            lines[n.lineno - 1] = lines[n.lineno - 1][: n.col_offset] + new
            lines[n.lineno : end] = [""] * (end - n.lineno)
    return "\n".join(lines) + "\n"


def _literal(value: ast.expr) -> bool:
    return not [n for n in ast.walk(value) if isinstance(n, (ast.Name, ast.Call))]


def inlined(sources: Mapping[str, str]) -> dict[str, str]:
    """The sources with the numbers themselves where they use a constant of another module, `NAME = const(number)`
    there."""
    trees = {name: _seen(text).tree for name, text in sources.items()}
    values = {
        (name, node.targets[0].id): f"({ast.unparse(value)})"
        for name, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and (value := _const(node)) is not None
        and _literal(value)
    }
    return {name: _with_numbers(text, trees[name], values) for name, text in sources.items()}


def _with_numbers(text: str, tree: ast.Module, values: Mapping[tuple[str, str], str]) -> str:
    # A name that means something else somewhere in the module stays.
    other = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    other |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    found = {
        (n.module or "", a.name): values[n.module or "", a.name]
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom)
        for a in n.names
        if (n.module, a.name) in values and a.asname is None and a.name not in other
    }
    if not found:
        return text
    spots = _names(tree, {name: value for (_, name), value in found.items()})
    # First what stands in lines as they are.
    return _from(_replaced(text, spots), tree, found)


def _without_const(text: str) -> str:
    """The text without the import of `const`, where the compiler has worked out each use."""
    tree = _seen(text).tree
    uses = sum(isinstance(n, ast.Name) and n.id == "const" for n in ast.walk(tree))
    if uses != sum(_const(n) is not None for n in ast.walk(tree)):
        return text
    return _from(text, tree, {(CONST, "const"): None})


def shake(sources: Mapping[str, str], keep: frozenset[str] = frozenset()) -> dict[str, str]:
    """The sources of a bundle, by module name, without what none of them mentions; `keep`: names to leave."""
    texts = inlined(sources)
    while True:
        seen = {name: _seen(text) for name, text in texts.items()}
        total: Counter[str] = Counter()
        for module in seen.values():
            total.update(module.words)
        dead: dict[str, list[_Part]] = {}
        for name, module in seen.items():
            gone = [p for p, own in module.parts if p.name not in keep and total[p.name] <= own]
            # Methods of a class that goes as a whole go with it.
            whole = {id(p.node) for p in gone}
            gone = [p for p in gone if p.owner is None or id(p.owner) not in whole]
            if gone:
                dead[name] = gone
        if not dead:
            break
        for name, gone in dead.items():
            texts[name] = _without(texts[name], gone)
    return {
        name: _without_const(_private(text, seen[name].tree, total - seen[name].words))
        for name, text in texts.items()
    }


# Private names


def _privates(tree: ast.Module) -> tuple[set[str], set[str], set[str]]:
    """(defined, used, spoken) private names of a module: used ones that nobody here defines are another's; a
    spoken one stands in a string or an import."""
    defined: set[str] = set()
    used: set[str] = set()
    spoken: set[str] = set()
    for n in ast.walk(tree):
        if isinstance(n, ast.Name):
            (defined if isinstance(n.ctx, ast.Store) else used).add(n.id)
        elif isinstance(n, ast.Attribute):
            own = isinstance(n.value, ast.Name) and n.value.id == "self"
            (defined if own and isinstance(n.ctx, ast.Store) else used).add(n.attr)
        elif isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(n.name)
        elif isinstance(n, (ast.arg, ast.keyword)):
            spoken.add(n.arg or "")
        elif isinstance(n, ast.alias):
            spoken.update(n.name.split("."))
        elif isinstance(n, ast.Constant) and isinstance(n.value, str):
            spoken.add(n.value)
    return _hidden(defined), _hidden(used), _hidden(spoken)


def _hidden(names: set[str]) -> set[str]:
    return {n for n in names if len(n) > 1 and n[0] == "_" and not n.startswith("__")}


def _families(trees: Mapping[str, ast.Module]) -> dict[str, str]:
    """The head of each module's family: modules whose classes inherit from each other's share their names."""
    heads = {name: name for name in trees}

    def head(name: str) -> str:
        while heads[name] != name:
            name = heads[name]
        return name

    for name, tree in trees.items():
        homes = {
            a.asname or a.name: f"{n.module}.{a.name}"
            for n in ast.walk(tree)
            if isinstance(n, ast.ImportFrom)
            for a in n.names
        }
        for n in ast.walk(tree):
            for base in n.bases if isinstance(n, ast.ClassDef) else ():
                # The class itself was imported, or the module that holds it.
                first, dot, rest = ast.unparse(base).partition(".")
                home = (homes.get(first, "") + dot + rest).rpartition(".")[0]
                if home in trees:
                    heads[head(name)] = head(home)
    return {name: head(name) for name in trees}


def _renamed(text: str, tree: ast.Module, names: Mapping[str, str]) -> str:
    lines = [line.encode() for line in text.splitlines()]
    spots = _names(tree, names)

    def add(line: int, column: int, name: str) -> None:
        if name in names:
            spots.add((line, column, name, names[name]))

    for n in ast.walk(tree):
        if isinstance(n, ast.Attribute):
            add(n.end_lineno or n.lineno, (n.end_col_offset or 0) - len(n.attr), n.attr)
        elif isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            add(n.lineno, lines[n.lineno - 1].index(b" " + n.name.encode(), n.col_offset) + 1, n.name)
        elif isinstance(n, ast.Global):
            for name in n.names:
                add(n.lineno, lines[n.lineno - 1].index(name.encode(), n.col_offset), name)
    return _replaced(text, spots)


def shorten(sources: Mapping[str, str]) -> dict[str, str]:
    """The sources with their private names replaced by few short ones, the same few in every module.

    Each name costs a board some 20 bytes, and a node has hundreds. Lines stay; a traceback shows `_7` for a
    private function. Left as they are: names that stand in a string, an import or an argument anywhere, and
    those that a module uses of another.
    """
    trees = {name: _seen(text).tree for name, text in sources.items()}
    families = _families(trees)
    defined: dict[str, dict[str, None]] = {head: {} for head in families.values()}
    used: dict[str, set[str]] = {head: set() for head in families.values()}
    left: set[str] = set()
    for name, tree in trees.items():
        own, others, spoken = _privates(tree)
        defined[families[name]].update(dict.fromkeys(sorted(own)))
        used[families[name]] |= others
        left |= spoken
    for head, names in used.items():
        left |= names - set(defined[head])
    short: dict[str, dict[str, str]] = {}
    for head, own_names in defined.items():
        wanted = [n for n in own_names if n not in left]
        short[head] = {name: f"_{number}" for number, name in enumerate(wanted)}
    return {name: _renamed(text, trees[name], short[families[name]]) for name, text in sources.items()}


# Arguments

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_LETTERS = "abcdefghklmnopqrstuvwxyz"


def _outermost(tree: ast.AST) -> list[_Function]:
    """Functions and methods that stand in no other function."""
    found: list[_Function] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node)
        else:
            found += _outermost(node)
    return found


def _globals(tree: ast.Module) -> set[str]:
    """Names of a module itself, and those of the language: an argument of that spelling keeps it."""
    found = set(dir(builtins))
    for n in ast.walk(tree):
        if isinstance(n, (ast.Global, ast.Nonlocal)):
            found.update(n.names)
        elif isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(n.name)
        elif isinstance(n, ast.alias):
            found.add(n.asname or n.name.partition(".")[0])
        elif isinstance(n, ast.ExceptHandler) and n.name:
            found.add(n.name)
    for statement in tree.body:
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.update(n.id for n in ast.walk(statement) if isinstance(n, ast.Name))
    return found


def _arguments_of(function: _Function) -> list[ast.arg]:
    found: list[ast.arg] = []
    for n in ast.walk(function):
        if isinstance(n, ast.arguments):
            found += [*n.posonlyargs, *n.args, *n.kwonlyargs]
            found += [a for a in (n.vararg, n.kwarg) if a is not None]
    return found


def _short_arguments(text: str, spoken: set[str]) -> str:
    tree = _seen(text).tree
    held = _globals(tree)
    spots: set[_Spot] = set()
    for function in _outermost(tree):
        names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
        arguments = _arguments_of(function)
        given = [a.arg for a in arguments]
        free = [c for c in _LETTERS if c not in names and c not in given and c not in held]
        short: dict[str, str] = {}
        for name in dict.fromkeys(given):
            if len(name) > 1 and name != "self" and name not in spoken and name not in held and free:
                short[name] = free.pop(0)
        spots |= _names(function, short)
        spots |= {(a.lineno, a.col_offset, a.arg, short[a.arg]) for a in arguments if a.arg in short}
    return _replaced(text, spots)


def letters(sources: Mapping[str, str]) -> dict[str, str]:
    """The sources with arguments that nobody gives by keyword called by single letters: a board keeps the name
    of every argument."""
    spoken: set[str] = set()
    for text in sources.values():
        for n in ast.walk(_seen(text).tree):
            if isinstance(n, ast.keyword) and n.arg:
                spoken.add(n.arg)
            elif isinstance(n, ast.Constant) and isinstance(n.value, str):
                spoken.add(n.value)
    return {name: _short_arguments(text, spoken) for name, text in sources.items()}
