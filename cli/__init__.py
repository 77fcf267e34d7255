"""The command line of tilesim (imported as tilesim_cli)."""
