"""`python -m bench NAME`: run one benchmark."""

import sys

from bench.kernel import main

if __name__ == "__main__":
    if sys.argv[1:2] != ["kernel"]:
        sys.exit("usage: python -m bench kernel [--repeats N]")
    main(sys.argv[2:])
