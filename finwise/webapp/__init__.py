"""The browser's app: built from `frontend/`, served at the root of the site."""
