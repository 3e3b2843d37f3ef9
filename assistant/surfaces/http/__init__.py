"""The HTTP door: the native API, the OpenAI-compatible one, sign-in, and the page mounted in it."""
