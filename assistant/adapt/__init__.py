"""Teaching the small models: collect, process, train, measure, register.

Each stage is a module of its own that reads the one before it; `run` chains them. The
libraries it needs beyond the product's own come with the extra `train`.
"""
