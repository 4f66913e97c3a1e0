"""Tests that read the code itself: which way the arrows point, and what no file may say."""
