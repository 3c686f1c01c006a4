"""Whom the other killers of the field would choose, by the rules that they publish.

One module for each; docs/killers.md tells the rules in words and how they differ from the kernel's.
"""
