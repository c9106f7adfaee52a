# syntax=docker/dockerfile:1
# The program with all three databases: docker build -t watchtower-sidecar:0.1.0 .
#
# The base image is Debian's slim one: it has the same C and C++ libraries as the builder and as the machine of the tests.
# Its shell is for debugging; the service needs none. Nothing is installed into the image, and no secret goes into it.
FROM rust:1.95-bookworm AS build
# cmake builds MySQL's client, and Python lists what the program contains. Rust's image has the rest.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends cmake python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --features mysql && cp target/release/watchtower-sidecar /usr/local/bin/ && \
    mkdir /doc && cp deploy/debian/copyright /doc/ && deploy/sbom >/doc/sbom.cdx.json

FROM debian:bookworm-slim
# The licences: the program's own, those of the crates and C libraries in it (sbom.cdx.json names each), and MySQL's client.
LABEL org.opencontainers.image.title="watchtower-sidecar" \
    org.opencontainers.image.description="Serves a Django application's two admin export endpoints beside it" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="(MIT OR Apache-2.0) AND GPL-2.0-only WITH Universal-FOSS-exception-1.0" \
    org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
# For sslmode=verify-full against the usual certificate authorities. For your own, set sslrootcert= in DATABASE_URL.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/watchtower-sidecar /usr/local/bin/watchtower-sidecar
# The list of what the program contains, with versions and licences. dpkg lists the packages of Debian's image.
COPY --from=build /doc /usr/share/doc/watchtower-sidecar
# Runs with --read-only and --cap-drop=ALL. readyz and large exports need --tmpfs /tmp.
USER 10001:10001
# MALLOC_ARENA_MAX: glibc would otherwise keep a heap for each thread, with more memory and no more speed.
ENV SIDECAR_BIND=0.0.0.0:8000 SIDECAR_OPS_BIND=0.0.0.0:9000 MALLOC_ARENA_MAX=2
EXPOSE 8000 9000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=7s --start-period=10s --retries=3 CMD ["watchtower-sidecar", "healthcheck"]
ENTRYPOINT ["watchtower-sidecar"]
CMD ["serve"]
