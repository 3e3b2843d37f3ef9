"""The page: Gradio views mounted in the HTTP server, one address a language and a view."""
