"""The index: a SQLite catalogue that is the truth, Chroma collections derived from it."""
