"""Tests of what a household keeps: the pages on which operators see and mend it."""
