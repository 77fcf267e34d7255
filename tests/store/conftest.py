"""Tests of this folder share the stores that test_store makes."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
