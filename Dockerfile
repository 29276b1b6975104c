# The image of tcpcap: the binary, nft with its libraries, and nothing else. docs/container.md says how it is run.
#
#   docker build -t tcpcap .                                  # from source
#   docker build -t tcpcap --build-arg TCPCAP=prebuilt .      # of the binary that `cargo xtask package binary` made
#
# What it begins with: the tag, or a digest to have the same again.
ARG BASE=docker.io/library/debian:trixie-slim
# Where the binary comes from: the stage `build` or `prebuilt`. The other one is not made.
ARG TCPCAP=build

FROM ${BASE} AS build
# What versions of packages there are, the base says.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates cargo-web gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What else is needed, and what of it comes from Debian, xtask knows.
RUN cargo xtask package binary \
 && mkdir /out \
 && cp target/dist/tcpcap /out/ \
 && rm -rf target /root/.cargo/registry

FROM scratch AS prebuilt
# The bill of materials lies there too, once it was made.
COPY target/dist/tcpcap target/dist/*.cdx.json /out/

# The default once more: older builders know it here only.
# hadolint ignore=DL3006
FROM ${TCPCAP:-build} AS tcpcap

FROM ${BASE} AS root
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nftables \
 && rm -rf /var/lib/apt/lists/*
COPY deploy/docker/root.sh LICENSE-APACHE LICENSE-MIT LICENSE-GPL2 /make/
COPY --from=tcpcap /out/ /out/
RUN sh /make/root.sh /image

FROM scratch
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tcpcap" \
      org.opencontainers.image.description="Sees who tries to connect, knows who is scanning, and drops scanners at the network card" \
      org.opencontainers.image.licenses="(MIT OR Apache-2.0) AND (MIT OR GPL-2.0-only)" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=root /image/ /
# A number, so that Kubernetes can see that it is not root; of those that systemd leaves to nobody.
USER 61112:61112
WORKDIR /var/lib/tcpcap
VOLUME ["/run/tcpcap", "/var/lib/tcpcap"]
EXPOSE 2112
# It asks the daemon's loop through the socket, so one that is stuck is noticed, too.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["/usr/bin/tcpcap", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tcpcap"]
CMD ["run"]
