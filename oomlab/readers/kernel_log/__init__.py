"""Kernel logs: any wrapping, any era's report, files of any size."""
