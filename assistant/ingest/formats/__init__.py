"""One module a format: each turns a file into blocks with the library that reads it.

What a reader of the file does not see (hidden sheets, slides, text and elements,
deleted revisions) is left out, so that every citation can be checked by eye. The
modules know nothing of limits, processes or the index; `assistant.ingest.load`
has made sure that a file is what its name says before it comes here.
"""
