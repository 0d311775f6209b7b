# Built in one stage, run from another: no compiler, no pip cache and no build files in the image.
FROM python:3.13-slim AS build
# For the few packages without a wheel on some architectures.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN python -m venv /opt/plexbridge
ENV PATH=/opt/plexbridge/bin:$PATH
# The dependencies first, so that a change of the code alone does not install them again.
COPY requirements.lock requirements-build.lock ./
RUN python -m pip install --no-cache-dir --require-hashes -r requirements.lock
RUN python -m venv /opt/builder \
    && /opt/builder/bin/python -m pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY events events
COPY projections projections
COPY plexbridge plexbridge
RUN /opt/builder/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
    && python -m pip install --no-cache-dir --no-deps /tmp/wheel/plexbridge-*.whl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="PlexBridge" \
      org.opencontainers.image.licenses="MIT"
# tini is the init: it passes signals on and reaps children.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 plexbridge \
    && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /config plexbridge \
    && mkdir /config \
    && chown plexbridge:plexbridge /config \
    && chmod 1777 /config
COPY --from=build /opt/plexbridge /opt/plexbridge
ENV PATH=/opt/plexbridge/bin:$PATH \
    HOME=/config \
    PLEXBRIDGE_DATA_DIR=/config \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A new volume takes over the owner and mode of this directory, so that `--user` may be anyone.
VOLUME /config
USER plexbridge
EXPOSE 3000
EXPOSE 65001/tcp 65001/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["plexbridge", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "plexbridge"]
CMD ["serve"]
