# The environment of a worker, of the servers and of the service. The project itself is mounted at /coronet: a clone with
# its data, which the container changes as commands in a terminal would. See docs/containers.md.
FROM debian:bookworm-slim

RUN apt-get update \
 && apt-get install --yes --no-install-recommends git python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/coronet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DVC_NO_ANALYTICS=1 \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true

WORKDIR /coronet
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY coronet_core coronet_core
COPY tasks tasks
COPY serving serving
COPY flows flows
# Editable: at run time the code is the mounted clone's.
RUN python3 -m venv /opt/coronet \
 && pip install --no-cache-dir uv==0.13.9 \
 && uv pip install --no-cache --python /opt/coronet --compile-bytecode --constraint constraints.txt \
      --editable '.[fetch,ray,servers,slurm]'

# Whoever owns the clone: `user:` in compose.yaml. Git takes the mounted clone, whoever owns it.
RUN git config --system --add safe.directory /coronet && mkdir --mode=1777 /home/coronet
ENV HOME=/home/coronet
CMD ["coronet", "run"]
