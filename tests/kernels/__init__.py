"""The kernel lab: real kernels run out of memory under QEMU, and the model must foretell it.

A long suite of its own, never part of a plain ``pytest``; see README.md beside this file.
"""
