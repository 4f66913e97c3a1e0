"""FinWise 0.4 apps on our server: their sockets, and what one of their frames does.

The words are translated in `dialects/finwise04.py`; what is decided, the engine decides, as
for any other device.
"""
