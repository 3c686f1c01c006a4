"""The kernel's own rules, pure: which era, whose limit, what badness, who is chosen."""
