"""Optional libraries: used where they are there, asked for in one line where they are not."""

import pytest

from tilesim.errors import InputError
from tilesim.files.libraries import need


def test_a_library_that_is_there():
    assert need("json", "reading JSON").loads("1") == 1


def test_a_library_that_is_missing_is_named_with_the_way_to_get_it():
    with pytest.raises(InputError) as error:
        need("no_such_library.part", "reading MTZ files")
    line = str(error.value)
    assert line.startswith("reading MTZ files needs no_such_library (")
    assert line.endswith("; pip install 'tilesim[formats]'") and "\n" not in line
