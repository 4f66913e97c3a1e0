"""The reference device: the same core as the server, a durable store, a WebSocket client.

A library for scripts and importers, the `device` command, and the load generator. It needs
neither Django nor a database; its behaviour is the model for the browser's device.

    store.py         what survives a crash: one SQLite file
    replica.py       the device's decisions over the store, without a socket
    conversation.py  replica and session together: frames in, frames out
    client.py        the asyncio client with a real socket
"""
