"""The command line as `python -m tilesim`."""

from tilesim_cli.main import main

if __name__ == "__main__":
    main()
