"""Tests of what is written down: the specification, its vectors, the pages, the generated files."""
