"""A Model Context Protocol server for OpenAI's GPT Image models."""
