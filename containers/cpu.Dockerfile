# allfocus as a service on a CPU: docker build -f containers/cpu.Dockerfile -t allfocus .
FROM python:3.11.11-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt ./
COPY src ./src
RUN python -m venv /opt/allfocus \
    && /opt/allfocus/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve]"

FROM python:3.11.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home allfocus
COPY --from=build /opt/allfocus /opt/allfocus
ENV PATH=/opt/allfocus/bin:$PATH \
    ALLFOCUS_CACHE=/home/allfocus/cache
USER 10001
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/healthz', timeout=4)"]
# listening beyond the container needs a token: docker run -e ALLFOCUS_SERVE_TOKEN=... -p 127.0.0.1:8765:8765 allfocus
ENTRYPOINT ["allfocus", "serve", "--host", "0.0.0.0", "--port", "8765"]
