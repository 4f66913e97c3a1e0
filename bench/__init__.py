"""Benchmarks: a real server and a real, durable PostgreSQL, loaded from another process.

python -m bench [name …] [--quick] [--json FILE] [--readme]

house.py      the server and the database under test; what they cost in CPU and memory
serve.py      the server's entry: script/server, and a signal that collects garbage
households.py people, tokens and households for the measures
content.py    realistic rows
speaker.py    a lean device: speaks the protocol, keeps nothing
raw.py        the same rows written by nothing but psycopg: the limit to compare with
measures/     one file for each measure
figures.py    numbers with names, units and aims
report.py     the table, the JSON file, the README
"""
