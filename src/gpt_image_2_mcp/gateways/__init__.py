"""The ways to OpenAI: the Images API, the Responses API, and the choice between them."""
