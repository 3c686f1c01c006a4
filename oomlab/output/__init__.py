"""Tables declare their columns once; renderers turn them into text, JSON, CSV and Markdown."""
