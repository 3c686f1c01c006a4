"""Readers make snapshots: ``read_*`` touches files, ``parse_*`` makes values of their text."""
