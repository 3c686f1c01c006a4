"""glibc's malloc as its memory shows it: layouts, arenas, chunks, lists, and mallinfo2's figures.

Everything here is pure: it walks what a function that reads memory returns. Names are those of
malloc/malloc.c and malloc/arena.c in glibc 2.23 to 2.43.
"""
