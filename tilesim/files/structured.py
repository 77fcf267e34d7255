"""TOML texts as plain values; what is wrong with them is one line, as are values in messages."""

from __future__ import annotations

from typing import Any

from tilesim.errors import InputError

SHOWN = 200
"""Characters of a parser's complaint that an error shows."""
SHOWN_VALUE = 80
"""Characters of a value that an error shows."""


def parse_toml(text: bytes, name: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises InputError, naming the file and the place."""
    import tomllib

    try:
        return tomllib.loads(text.decode())
    except RecursionError:
        raise InputError(f"{name}: expected TOML that is nested less deeply") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: expected TOML in UTF-8, found something else at byte {error.start + 1}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: expected TOML; {str(error)[:SHOWN]}") from None
    except ValueError:  # Python's limit
        raise InputError(f"{name}: expected TOML, found a number of thousands of digits") from None


def shown_value(value: Any) -> str:
    """A value in a message of one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN_VALUE else f"{text[: SHOWN_VALUE - 3]}..."
