"""The command line: load, call, render. Nothing else prints."""
