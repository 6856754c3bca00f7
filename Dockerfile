# Artifact Keeper for servers of your own: no embedded database, no build tools, no root.
# One image runs every part: `api` (default), `project`, `work`, `migrate`, `admin …`. See compose.yaml.

ARG DEBIAN=debian:trixie-slim

FROM ${DEBIAN} AS build
# The release is pinned, its packages are not: their security fixes are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
ENV DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/runtime.txt requirements/
RUN python3 -m venv /opt/artifact-keeper \
    && /opt/artifact-keeper/bin/pip install --only-binary :all: --require-hashes -r requirements/runtime.txt
COPY . .
RUN /opt/artifact-keeper/bin/pip install --no-deps --no-build-isolation . \
    && /opt/artifact-keeper/bin/pip uninstall --yes setuptools pip \
    && python3 -m compileall -q -j 0 /opt/artifact-keeper/lib

FROM ${DEBIAN}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 keeper \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin keeper \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/artifact-keeper
COPY --from=build /opt/artifact-keeper /opt/artifact-keeper
ENV PATH=/opt/artifact-keeper/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production \
    LOG_FORMAT=json \
    BIND_ADDRESS=0.0.0.0:8080 \
    AK_DATA_DIR=/var/lib/artifact-keeper
# The root file system may be read-only: all that is ever written is below the data directory and /tmp.
VOLUME /var/lib/artifact-keeper
WORKDIR /var/lib/artifact-keeper
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['BIND_ADDRESS'].rpartition(':')[2] + '/healthz', timeout=4)"]
ENTRYPOINT ["artifact-keeper"]
CMD ["api"]
