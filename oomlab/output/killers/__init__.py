"""Listings of the other killers' rankings."""
