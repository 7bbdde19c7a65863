# The annotation service: maskdpo serve, without torch.
#
#   docker build -t maskdpo .
#   docker run --rm -p 127.0.0.1:8765:8765 -e MASKDPO_TOKEN -v maskdpo-runs:/runs maskdpo
#
# What follows the image's name replaces CMD: options of `maskdpo serve`. The service listens on all
# addresses of the container, so serve.hosts must name the hosts by which clients reach it.
ARG PYTHON=python:3.11-slim-trixie

# hadolint ignore=DL3006  # the tag is in PYTHON
FROM ${PYTHON} AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/maskdpo \
    && /opt/maskdpo/bin/pip install --no-cache-dir --disable-pip-version-check \
        -c constraints.txt '.[serve]'

# hadolint ignore=DL3006
FROM ${PYTHON}
RUN groupadd --gid 10001 maskdpo \
    && useradd --uid 10001 --gid maskdpo --no-create-home --shell /usr/sbin/nologin maskdpo \
    && install --directory --owner=maskdpo --group=maskdpo --mode=0700 /runs
COPY --from=build /opt/maskdpo /opt/maskdpo
ENV PATH=/opt/maskdpo/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /runs
VOLUME /runs
EXPOSE 8765
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8765/healthz', timeout=4)"]
ENTRYPOINT ["maskdpo", "serve", "--host", "0.0.0.0", "--port", "8765"]
CMD ["--set", "serve.hosts=[localhost]"]
