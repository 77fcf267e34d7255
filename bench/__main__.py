"""`python -m bench NAME`: run one benchmark."""

import sys
from importlib import import_module

NAMES = (
    "kernel",
    "levels",
    "outermost",
    "start",
    "command",
    "memory",
    "linear",
    "scaling",
    "workers",
    "compression",
    "stills",
    "channels",
    "parts",
    "gradients",
    "refine",
    "gpu",
)

if __name__ == "__main__":
    if sys.argv[1:2] not in [[name] for name in NAMES]:
        sys.exit(f"usage: python -m bench {'|'.join(NAMES)} [--help]")
    import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
