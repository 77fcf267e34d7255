"""Reading and writing of files in general: bytes and lines, all-or-nothing, names, libraries."""
