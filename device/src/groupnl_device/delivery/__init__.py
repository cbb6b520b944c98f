"""The device's end of the signed repository: check, download, verify, activate, roll back.

Needs the extra ``groupnl-device[delivery]``; nothing else of this package imports it.
"""
