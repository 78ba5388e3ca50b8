"""Tables of names that were saved as a Python dict in an .npy file, which is a pickle: read without unpickling it.

The opcodes are walked as text. Numbers, texts and dicts are taken as they stand, the array of no axes around them is
known by its opcodes, and anything else is refused: no name in the file is ever looked up, imported or called.
"""

import io
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MOST_BYTES = 1 << 20  # of a table of names
EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
IGNORED = ("PROTO", "FRAME")
CONSTANTS = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES"),
    "SHORT_BINBYTES",
)
NAMED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
DTYPE, ARRAY = "numpy.dtype", "numpy.ndarray"
MAKERS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class _Name(str):
    """A name that the pickle would have looked up, or what stands for the thing made by it."""


class _Array:
    """The array of no axes around the dict."""

    value: Any = None


def read(path: str | Path) -> dict[int, str]:
    """Read a dict from whole numbers to names that numpy saved.

    Parameters
    ----------
    path : str or Path
        .npy of an object array without axes that holds the dict, in pickle protocol 3 or 4.

    Returns
    -------
    dict
        From number to name; no name comes twice.

    Raises
    ------
    ValueError
        If the file is no such .npy, is longer than a table of names can be, or its pickle holds anything but a dict of
        whole numbers and texts: names the first that does not belong. Nothing in it is run.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{path} has {size} bytes, a table of names at most {MOST_BYTES}")
    with path.open("rb") as handle:
        try:
            version = np.lib.format.read_magic(handle)
            if version not in HEADERS:
                raise ValueError(f"it is of version {version}")
            shape, _, dtype = HEADERS[version](handle)
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} ({size} bytes) is no whole .npy: {error}; get it again") from None
        payload = handle.read()
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f"{path} holds {dtype} of shape {shape}, expected one dict of names")
    try:
        mapping = _walk(payload)
    except (ValueError, IndexError, KeyError, TypeError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "its opcodes do not fit each other"
        raise ValueError(
            f"{path} ({size} bytes) is refused: {reason}; expected a pickled dict of whole numbers and names and no "
            "more. Nothing in it was run"
        ) from None
    for key, value in mapping.items():
        if type(key) is not int or type(value) is not str:
            raise ValueError(f"{path} gives {key!r} a {type(value).__name__}, expected whole numbers and their names")
        if not value or list(mapping.values()).count(value) > 1:
            raise ValueError(f"{path} names {key} as {value!r}, expected a name that no other number has")
    return mapping


def _walk(payload: bytes) -> dict[Any, Any]:
    """Follow the opcodes of a pickle with a stack of constants; refuse every other one."""
    stream = io.BytesIO(payload)
    machine = _Machine()
    for opcode, argument, position in pickletools.genops(stream):
        if opcode.name == "STOP":
            break
        if not machine.step(opcode.name, argument) and opcode.name not in IGNORED:
            raise ValueError(f"its pickle has {opcode.name} at byte {position}")
    if stream.tell() != len(payload):
        raise ValueError(f"{len(payload) - stream.tell()} bytes follow its pickle")
    stack = machine.stack
    if len(stack) != 1 or not isinstance(stack[0], _Array) or not isinstance(stack[0].value, dict):
        raise ValueError("its pickle is no array of one dict")
    return stack[0].value


class _Machine:
    """The stack of a pickle, its marks and its memo, of constants alone: nothing is looked up, imported or called."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[Any, Any] = {}  # by number

    def step(self, name: str, argument: Any) -> bool:
        """Follow an opcode; tell whether it is one of those that are followed."""
        return (
            self._pushes(name, argument)
            or self._fills(name)
            or self._remembers(name, argument)
            or self._makes(name, argument)
        )

    def _pushes(self, name: str, argument: Any) -> bool:
        if name in CONSTANTS:
            self.stack.append(argument)
        elif name in NAMED:
            self.stack.append(NAMED[name])
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name == "MARK":
            self.marks.append(len(self.stack))
        else:
            return False
        return True

    def _fills(self, name: str) -> bool:
        if name == "TUPLE":
            self.stack.append(tuple(self._since_mark()))
        elif name in TUPLES:
            self.stack[-TUPLES[name] :] = [tuple(self.stack[-TUPLES[name] :])]
        elif name == "APPEND":
            element = self.stack.pop()
            _of(self.stack[-1], list).append(element)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._since_mark() if name == "SETITEMS" else [self.stack.pop(-2), self.stack.pop()]
            wrong_keys = [key for key in items[::2] if type(key) not in (int, str)]
            if wrong_keys:  # before anything is asked for its hash
                raise ValueError(f"a key of its dict is a {type(wrong_keys[0]).__name__}")
            _of(self.stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))
        else:
            return False
        return True

    def _remembers(self, name: str, argument: Any) -> bool:
        if name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        else:
            return False
        return True

    def _makes(self, name: str, argument: Any) -> bool:
        if name in ("GLOBAL", "STACK_GLOBAL"):
            self.stack.append(_known(argument.split(" ") if argument else [self.stack.pop(-2), self.stack.pop()]))
        elif name == "REDUCE":
            arguments = self.stack.pop()
            self.stack.append(_stand_in(self.stack.pop(), arguments))
        elif name == "BUILD":
            state = self.stack.pop()
            _fill(self.stack[-1], state)
        else:
            return False
        return True

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


def _known(name_parts: list[str]) -> _Name:
    name = ".".join(name_parts)
    if name not in (*MAKERS, ARRAY, DTYPE):
        raise ValueError(f"its pickle names {name}, which is code")
    return _Name(name)


def _stand_in(maker: Any, arguments: tuple[Any, ...]) -> Any:
    """Stand for what an empty array, and the dtype of objects, would be made by."""
    if isinstance(maker, _Name) and maker in MAKERS and arguments == (_Name(ARRAY), (0,), b"b"):
        return _Array()
    if isinstance(maker, _Name) and maker == DTYPE and arguments[0] in ("O", "O8"):
        return _Name("dtype of objects")
    raise ValueError(f"its pickle makes something of {type(maker).__name__} {maker if isinstance(maker, str) else ''}")


def _fill(target: Any, state: Any) -> None:
    if isinstance(target, _Array):
        *_, values = state
        (target.value,) = _of(values, list)
    elif not isinstance(target, _Name):
        raise ValueError(f"its pickle sets the state of {type(target).__name__}")


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"its pickle fills {type(value).__name__} as if it were a {kind.__name__}")
    return value
