# Serves an MCP client on stdin and stdout; compose.yaml serves over HTTP.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /app
COPY requirements/packaging.txt requirements/runtime.txt requirements/
# What is installed names every package with its hash, so nothing is resolved. pip compiles it, for quick starts.
RUN /app/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/runtime.txt \
    && python -m venv /tools \
    && /tools/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/packaging.txt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /tools/bin/python -m build --no-isolation --wheel --outdir /wheels \
    && /app/bin/pip install --no-cache-dir --no-deps /wheels/*.whl \
    && /app/bin/pip uninstall --yes pip

FROM python:3.13-slim-bookworm
LABEL io.modelcontextprotocol.server.name="io.github.OWNER/gpt-image-2-mcp"
# Open to every user, so that --user can give pictures to the person who runs it; the state in it is its writer's alone.
RUN install --directory --owner 10001 --group 10001 --mode 1777 /data
COPY --from=build /app /app
# All that it writes goes below /data and /tmp, so the rest can be read-only.
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    GPT_IMAGE_2_OUTPUT_DIR=/data/pictures \
    GPT_IMAGE_2_STATE_DIR=/data/state
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["gpt-image-2-mcp"]
CMD ["serve"]
