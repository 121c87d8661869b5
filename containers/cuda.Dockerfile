# allfocus as a service on an NVIDIA GPU: docker build -f containers/cuda.Dockerfile -t allfocus-cuda .
FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04 AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        gcc libc6-dev python3=3.12.3-0ubuntu2 python3-venv=3.12.3-0ubuntu2 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE constraints.txt ./
COPY src ./src
RUN python3 -m venv /opt/allfocus \
    && /opt/allfocus/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve,torch]"

FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3=3.12.3-0ubuntu2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home allfocus
COPY --from=build /opt/allfocus /opt/allfocus
ENV PATH=/opt/allfocus/bin:$PATH \
    ALLFOCUS_CACHE=/home/allfocus/cache
USER 10001
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/healthz', timeout=4)"]
# docker run --gpus all -e ALLFOCUS_SERVE_TOKEN=... -p 127.0.0.1:8765:8765 allfocus-cuda
ENTRYPOINT ["allfocus", "serve", "--host", "0.0.0.0", "--port", "8765", "--engine", "torch"]
