"""The MCP clients that `config` sets up and `doctor` looks at: where their files are, and what goes in."""
