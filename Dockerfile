# syntax=docker/dockerfile:1
# recsweep in a container, for a CPU (the default) or for CUDA:
#
#   docker build --target cpu -t recsweep:cpu .
#   docker build --target cuda -t recsweep:cuda .
#
# The packages are those of the lock. The kernels are compiled for the processor that builds the image; on another
# one training takes the slower path, so build where you train.

FROM python:3.11.13-slim-bookworm AS tools
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/recsweep
RUN python -m venv .venv
COPY envs envs
COPY pyproject.toml README.md LICENSE ./
COPY src src
# The extras that go in: names of locks in envs/.
ARG EXTRAS="buckets cluster trackers"
ENV PIP_NO_CACHE_DIR=1

FROM tools AS build-cpu
# PyPI's torch brings CUDA along, which does no harm but to the image's size. For one without, give the list of
# wheels for a CPU that PyTorch's download page names: --build-arg TORCH_WHEELS=ADDRESS.
ARG TORCH_WHEELS=""
RUN PIP_EXTRA_INDEX_URL="${TORCH_WHEELS}" bash envs/install.sh .venv/bin/python \
    && for extra in ${EXTRAS}; do \
        .venv/bin/python -m pip install --quiet --no-deps --requirement "envs/${extra}.lock" || exit 1; \
    done

FROM tools AS build-cuda
RUN bash envs/install.sh .venv/bin/python \
    && for extra in ${EXTRAS}; do \
        .venv/bin/python -m pip install --quiet --no-deps --requirement "envs/${extra}.lock" || exit 1; \
    done

# What runs: no compiler, no user with rights, nothing of the build but the environment and the source.
FROM python:3.11.13-slim-bookworm AS last
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 rsync \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home recsweep \
    && install --directory --owner=recsweep --group=recsweep /work /work/outputs
COPY containers/entrypoint.sh /usr/local/bin/recsweep-entrypoint
COPY --chown=recsweep config /work/config
ENV PATH=/opt/recsweep/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /work
# By its number, which Kubernetes can see is none with rights.
USER 10001
ENTRYPOINT ["recsweep-entrypoint"]
CMD ["recsweep", "--help"]

FROM last AS cuda
COPY --from=build-cuda /opt/recsweep /opt/recsweep

FROM last AS cpu
COPY --from=build-cpu /opt/recsweep /opt/recsweep
