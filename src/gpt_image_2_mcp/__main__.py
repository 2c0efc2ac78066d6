"""`python -m gpt_image_2_mcp` is the console script."""

from gpt_image_2_mcp.cli import main

if __name__ == "__main__":
    main()
