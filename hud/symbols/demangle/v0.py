"""Demangles Rust's v0 symbol names: ``_RNvCs1234_7mycrate3foo``.

Terms (those of the grammar): a *path* names an item, in a *value* context with ``::<>`` and in a
type with ``<>``; a *disambiguator* tells items of one name apart; a *backref* points to an earlier
byte. Crate disambiguators and the instantiating crate are not shown.

Source: the rustc book, "v0 Symbol Format"; RFC 2603. Depth, steps and size of the result are
bounded: a backref can ask for exponential work.
"""

from __future__ import annotations

import encodings.punycode  # noqa: F401 (the codec is looked up when files may be out of reach)
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SYMBOL_LIMIT = 1 << 16
OUTPUT_LIMIT = 1 << 16
DEPTH_LIMIT = 120
STEP_LIMIT = 20_000
_BINDER_LIMIT = 64

_BASIC = {
    "a": "i8",
    "b": "bool",
    "c": "char",
    "d": "f64",
    "e": "str",
    "f": "f32",
    "h": "u8",
    "i": "isize",
    "j": "usize",
    "l": "i32",
    "m": "u32",
    "n": "i128",
    "o": "u128",
    "p": "_",
    "s": "i16",
    "t": "u16",
    "u": "()",
    "v": "...",
    "x": "i64",
    "y": "u64",
    "z": "!",
}
_SIGNED, _UNSIGNED = "ailnsx", "hjmoty"
_POINTERS = {"R": "&", "Q": "&mut ", "P": "*const ", "O": "*mut "}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE62 = re.compile(r"([0-9a-zA-Z]*)_")
_LENGTH = re.compile(r"(u?)(0|[1-9][0-9]*)_?")
"""A number has no leading zero: 00 is two empty names."""
_ESCAPED = {"\t": "\\t", "\r": "\\r", "\n": "\\n", "\\": "\\\\", "\0": "\\0"}


class _SyntaxError(Exception):
    """Not a v0 name, or one beyond the limits."""


def demangle_v0(raw: str, *, generics: bool = True) -> str | None:
    """The name; None if this is no v0 name or one beyond the limits.

    ``generics`` False leaves out what is in ``::<>``, so that all instances of a function have one
    name; types, as in ``<Vec<u8> as Read>::read``, keep theirs.
    """
    start = 2 if raw.startswith("_R") else 3 if raw.startswith("__R") else 0
    if not start or len(raw) > SYMBOL_LIMIT or not raw[start : start + 1].isupper():
        return None
    for mark in (".", "$"):  # a vendor's suffix, such as .llvm.123
        raw = raw.partition(mark)[0]
    parser = _Parser(raw[start:], generics=generics)
    try:
        name = parser.path(value=True)
        if parser.at < len(parser.text):
            parser.path(value=False)
    except _SyntaxError:
        return None
    return name if parser.at == len(parser.text) else None


class _Parser:
    def __init__(self, text: str, *, generics: bool) -> None:
        self.text = text
        self.generics = generics
        self.at = 0
        self.depth = 0
        self.steps = 0
        self.lifetimes = 0

    # ------------------------------------------------------------------ letters and numbers

    def _next(self) -> str:
        if self.at >= len(self.text):
            raise _SyntaxError
        self.at += 1
        return self.text[self.at - 1]

    def _eat(self, letter: str) -> bool:
        if self.text.startswith(letter, self.at):
            self.at += 1
            return True
        return False

    def _base62(self) -> int:
        match = _BASE62.match(self.text, self.at)
        if match is None:
            raise _SyntaxError
        self.at = match.end()
        return _number_of(match[1]) if match[1] else 0

    def _optional(self, mark: str) -> int:
        """``mark`` and a number: its value + 1; else 0."""
        return self._base62() + 1 if self._eat(mark) else 0

    def _identifier(self) -> str:
        match = _LENGTH.match(self.text, self.at)
        if match is None or len(match[2]) > 5:
            raise _SyntaxError
        start = match.end()
        end = self.at = start + int(match[2])
        if end > len(self.text):
            raise _SyntaxError
        name = self.text[start:end]
        return _from_punycode(name) if match[1] else name

    def _nested(self, inner: Callable[[], str]) -> str:
        self.depth += 1
        self.steps += 1
        if self.depth > DEPTH_LIMIT or self.steps > STEP_LIMIT:
            raise _SyntaxError
        text = inner()
        if len(text) > OUTPUT_LIMIT:
            raise _SyntaxError
        self.depth -= 1
        return text

    def _backref(self, inner: Callable[[], str]) -> str:
        mark = self.at - 1
        target = self._base62()
        if target >= mark:
            raise _SyntaxError
        back, self.at = self.at, target
        text = self._nested(inner)
        self.at = back
        return text

    def _list(self, inner: Callable[[], str]) -> list[str]:
        found = []
        while not self._eat("E"):
            found.append(self._nested(inner))
        return found

    # ------------------------------------------------------------------ paths

    def path(self, *, value: bool) -> str:
        return self._nested(self._value_path if value else self._type_path)

    def _value_path(self) -> str:
        return self._path(value=True)

    def _type_path(self) -> str:
        return self._path(value=False)

    def _path(self, *, value: bool) -> str:
        tag = self._next()
        if tag == "C":
            self._optional("s")
            return self._identifier()
        if tag == "N":
            return self._item(value=value)
        if tag in "MX":
            self._optional("s")
            self.path(value=False)  # where the impl is: not shown
        if tag == "M":
            return f"<{self.type()}>"
        if tag in "XY":
            kind = self.type()
            return f"<{kind} as {self.path(value=False)}>"
        if tag == "I":
            path = self.path(value=value)
            arguments = ", ".join(self._list(self._argument))
            if not value:
                return f"{path}<{arguments}>"
            return f"{path}::<{arguments}>" if self.generics else path
        if tag == "B":
            return self._backref(self._value_path if value else self._type_path)
        raise _SyntaxError

    def _item(self, *, value: bool) -> str:
        namespace = self._next()
        if not (namespace.isascii() and namespace.isalpha()):
            raise _SyntaxError
        path = self.path(value=value)
        number = self._optional("s")
        name = self._identifier()
        if namespace.islower():
            return f"{path}::{name}" if name else path
        kind = {"C": "closure", "S": "shim"}.get(namespace, namespace)
        return f"{path}::{{{kind}{':' if name else ''}{name}#{number}}}"

    def _argument(self) -> str:
        if self._eat("L"):
            return self._lifetime(self._base62())
        if self._eat("K"):
            return self._constant()
        return self.type()

    def _lifetime(self, index: int) -> str:
        if index == 0:
            return "'_"
        depth = self.lifetimes - index
        if depth < 0:
            raise _SyntaxError
        return f"'{chr(97 + depth)}" if depth < 26 else f"'z{depth - 25}"

    # ------------------------------------------------------------------ types

    def type(self) -> str:
        return self._nested(self._type)

    def _type(self) -> str:
        tag = self._next()
        if tag in _BASIC:
            return _BASIC[tag]
        if tag in _POINTERS:
            lifetime = ""
            if tag in "RQ" and self._eat("L"):
                index = self._base62()
                lifetime = self._lifetime(index) + " " if index else ""
            pointer = _POINTERS[tag]
            return f"{pointer[:1]}{lifetime}{pointer[1:]}{self.type()}"
        if tag == "A":
            kind = self.type()
            return f"[{kind}; {self._constant()}]"
        if tag == "S":
            return f"[{self.type()}]"
        if tag == "T":
            kinds = self._list(self.type)
            return f"({kinds[0]},)" if len(kinds) == 1 else f"({', '.join(kinds)})"
        if tag == "F":
            return self._bound(self._function)
        if tag == "D":
            bounds = self._bound(lambda: " + ".join(self._list(self._dyn_trait)))
            if not self._eat("L"):
                raise _SyntaxError
            index = self._base62()
            tail = f" + {self._lifetime(index)}" if index else ""
            return f"dyn {bounds}{tail}"
        if tag == "B":
            return self._backref(self._type)
        self.at -= 1
        return self.path(value=False)

    def _bound(self, inner: Callable[[], str]) -> str:
        """``for<'a, 'b>`` and what it holds for."""
        count = self._optional("G")
        if count > _BINDER_LIMIT:
            raise _SyntaxError
        before = self.lifetimes
        self.lifetimes += count
        names = ", ".join(self._lifetime(count - place) for place in range(count))
        text = self._nested(inner)
        self.lifetimes = before
        return f"for<{names}> {text}" if count else text

    def _function(self) -> str:
        unsafe = "unsafe " if self._eat("U") else ""
        abi = ""
        if self._eat("K"):
            name = "C" if self._eat("C") else self._identifier().replace("_", "-")
            abi = f'extern "{name}" '
        arguments = ", ".join(self._list(self.type))
        result = self.type()
        tail = "" if result == "()" else f" -> {result}"
        return f"{unsafe}{abi}fn({arguments}){tail}"

    def _dyn_trait(self) -> str:
        name = self.path(value=False)
        bindings = []
        while self._eat("p"):
            bound = self._identifier()
            bindings.append(f"{bound} = {self.type()}")
        if not bindings:
            return name
        inner = ", ".join(bindings)
        return f"{name[:-1]}, {inner}>" if name.endswith(">") else f"{name}<{inner}>"

    # ------------------------------------------------------------------ constants

    def _constant(self) -> str:
        return self._nested(self._constant_inner)

    def _constant_inner(self) -> str:
        tag = self._next()
        if tag == "p":
            return "_"
        if tag in _UNSIGNED:
            return _number(self._hex())
        if tag in _SIGNED:
            sign = "-" if self._eat("n") else ""
            return sign + _number(self._hex())
        if tag == "b":
            return {0: "false", 1: "true"}.get(self._value(), "?")
        if tag == "c":
            return f"'{_character(self._value(), quote=chr(39))}'"
        if tag == "e":
            return f"*{self._string()}"
        if tag in "RQ":
            if tag == "R" and self._eat("e"):
                return self._string()
            return _POINTERS[tag] + self._constant()
        if tag == "A":
            return f"[{', '.join(self._list(self._constant))}]"
        if tag == "T":
            items = self._list(self._constant)
            return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
        if tag == "V":
            return self._structure()
        if tag == "B":
            return self._backref(self._constant_inner)
        raise _SyntaxError

    def _structure(self) -> str:
        path = self.path(value=True)
        kind = self._next()
        if kind == "U":
            return path
        if kind == "T":
            return f"{path}({', '.join(self._list(self._constant))})"
        if kind == "S":
            return f"{path} {{ {', '.join(self._list(self._field))} }}"
        raise _SyntaxError

    def _field(self) -> str:
        self._optional("s")
        name = self._identifier()
        return f"{name}: {self._constant()}"

    def _hex(self) -> str:
        end = self.text.find("_", self.at)
        digits = self.text[self.at : end]
        if end < 0 or not all(digit in "0123456789abcdef" for digit in digits):
            raise _SyntaxError
        self.at = end + 1
        return digits

    def _value(self) -> int:
        digits = self._hex()
        if len(digits) > 16:
            raise _SyntaxError
        return int(digits or "0", 16)

    def _string(self) -> str:
        try:
            text = bytes.fromhex(self._hex()).decode()
        except ValueError:
            raise _SyntaxError from None
        return '"' + "".join(_character(ord(letter), quote='"') for letter in text) + '"'


@lru_cache(maxsize=4096)
def _number_of(digits: str) -> int:
    """Base 62, plus one: no digits are 0. Crates' disambiguators come again and again."""
    value = 0
    for digit in digits:
        value = value * 62 + _DIGITS.index(digit)
        if value >= 1 << 64:
            raise _SyntaxError
    return value + 1


def _number(digits: str) -> str:
    return str(int(digits or "0", 16)) if len(digits) <= 16 else f"0x{digits}"


def _character(code: int, *, quote: str) -> str:
    if code >= 0x110000 or 0xD800 <= code < 0xE000:
        raise _SyntaxError
    letter = chr(code)
    if letter in _ESCAPED:
        return _ESCAPED[letter]
    if letter == quote:
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\u{{{code:x}}}"


def _from_punycode(name: str) -> str:
    basic, mark, coded = name.rpartition("_")
    try:
        return (
            f"{basic}-{coded}".encode("ascii").decode("punycode")
            if mark
            else (name.encode("ascii").decode("punycode"))
        )
    except ValueError:
        return f"punycode{{{name}}}"
