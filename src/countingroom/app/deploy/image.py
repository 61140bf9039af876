"""The files of a container image of the product. Pure."""

from __future__ import annotations

from countingroom.app.deploy.plan import DATA, DATA_FOLDER, HERE, PUBLIC, UID

PLACE = "/opt/countingroom"
CONTAINERFILE = f"""\
# The image of countingroom. Made by countingroom deploy image.
#
#   docker build --build-arg BASE=python:3.13-slim --tag countingroom .
#
# BASE: an image with Python 3.11 or newer, pip, and a shell. Without a network: fill the folder
# wheels with
#   pip download --require-hashes --no-deps --only-binary :all: --dest wheels --requirement requirements.txt
# and build with --build-arg PIP_NO_INDEX=1. Another index of packages: --build-arg PIP_INDEX_URL=…
ARG BASE
FROM ${{BASE}} AS build
ARG PIP_NO_INDEX
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
USER 0:0
WORKDIR /build
COPY requirements.txt ./
COPY wheels ./wheels
# Each library and the product itself with its hash, and none is compiled: no compiler is needed. The environment has
# no pip.
RUN python3 -m venv --without-pip {PLACE} \\
 && python3 -m pip --python {PLACE}/bin/python install --no-cache-dir --no-deps --only-binary :all: \\
    --require-hashes --find-links wheels --requirement requirements.txt

FROM ${{BASE}}
USER 0:0
COPY --from=build {PLACE} {PLACE}
RUN echo "countingroom:x:{UID}:{UID}::{DATA}:/sbin/nologin" >> /etc/passwd \\
 && echo "countingroom:x:{UID}:" >> /etc/group \\
 && mkdir -p {DATA} {PUBLIC} {HERE} \\
 && chown {UID}:{UID} {DATA} {PUBLIC} \\
 && chmod 0700 {DATA} {PUBLIC}
ENV PATH={PLACE}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    HOME={DATA} \\
    COUNTINGROOM_DATA={DATA_FOLDER} \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1
USER {UID}:{UID}
WORKDIR {HERE}
VOLUME {DATA}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \\
    CMD ["countingroom", "deploy", "probe", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["countingroom"]
CMD ["up", "{HERE}/experiment.yaml", "--data", "{DATA_FOLDER}"]
"""


def requirements(lock: str, wheel: str, digest: str) -> str:
    """The lock of the libraries, and the wheel of the product with its SHA-256."""
    return f"{lock.rstrip()}\n./wheels/{wheel} \\\n    --hash=sha256:{digest}\n"


IGNORED = """\
*
!requirements.txt
!wheels
"""
"""What the engine is not given: all but these."""
